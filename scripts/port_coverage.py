#!/usr/bin/env python3
"""Ports packages as they are installed, and verifies every model that they build: `torch2flow port --verify`.

    make port-coverage                                        # all, resumable: hours
    make port-coverage ARGS="'torchvision/resnet*' 'timm/vit_tiny*' --fresh"
    make port-coverage ARGS="'timm/*' --families"             # the first small model of each family

The original runs in .venv-torch, the ported package in .venv.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "port-coverage"
TORCH, ONEFLOW = ROOT / ".venv-torch/bin/python", ROOT / ".venv/bin/python"
MODELS = ROOT / "scripts" / "port_models.py"
PACKAGES = ("torchvision", "timm", "transformers")

IMAGE = "float32[batch,3,height,width]"
INPUTS = {
    "inception*": ({"init_weights": False}, "float32[batch,3,96,128]"),
    "googlenet": ({"init_weights": False}, IMAGE),
    "quantized_*": ({}, IMAGE),
    "maxvit_t": ({}, "float32[batch,3,224,224]"),
    "vit_h_14": ({"image_size": 56}, "float32[batch,3,56,56]"),
    "vit_*": ({"image_size": 64}, "float32[batch,3,64,64]"),
    "mvit_*": ({}, "float32[1,3,16,224,224]"),
    "s3d": ({}, "float32[1,3,16,224,224]"),
    "swin3d_*": ({}, "float32[batch,3,8,64,64]"),
    "[rm]*[23]*_18": ({}, "float32[batch,3,8,height,width]"),
    "raft_*": ({}, "float32[1,3,128,128]"),
    "*rcnn*": ({}, ""),
    "fcos*": ({}, ""),
    "retinanet*": ({}, ""),
    "ssd*": ({}, ""),
    "*": ({}, IMAGE),
}
"""For torchvision's models: arguments, and the input; "" where the factory makes it."""

IDS = {"input_ids": [2, 11]}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 67}
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "BertModel": {**SMALL, "inputs": IDS, "given": {}},
    "GPT2LMHeadModel": {
        "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 67, "n_positions": 32, "inputs": IDS, "given": {},
    },
    "LlamaForCausalLM": {**SMALL, "num_key_value_heads": 2, "inputs": IDS, "given": {}},
    "T5ForConditionalGeneration": {
        "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 67,
        "decoder_start_token_id": 0, "inputs": {**IDS, "decoder_input_ids": [2, 5]}, "given": {},
    },
    "ViTModel": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "image_size": 32,
        "patch_size": 8, "inputs": {}, "given": {"pixel_values": [2, 3, 32, 32]},
    },
    "WhisperForConditionalGeneration": {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 67,
        "max_source_positions": 20, "max_target_positions": 20, "num_mel_bins": 8, "decoder_start_token_id": 1,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "inputs": {"decoder_input_ids": [2, 5]}, "given": {"input_features": [2, 8, 40]},
    },
}  # fmt: skip
"""Classes of transformers, each with a small configuration, integer inputs, and floating ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("patterns", nargs="*", default=["*"], help="package/model, with * and ?")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--families", action="store_true", help="one model of each family: of each first word")
    parser.add_argument("--layers", action="store_true", help="compare every layer too")
    parser.add_argument("--seconds", type=int, default=900, help="for one model")
    parser.add_argument("--rules", action="append", default=[], metavar="FILE.py", help="for `torch2flow port`")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if any(fnmatch.fnmatch(f"{package}/", f"{pattern.partition('/')[0]}/") for pattern in arguments.patterns):
            port_package(package, arguments.rules)
            cover(package, arguments)


def port_package(package: str, rules: list[str]) -> None:
    """Ports an installed package anew."""
    command = [*port(package), "--overwrite", "-q", *(part for file in rules for part in ("--rules", file))]
    if subprocess.run(command, check=False).returncode not in (0, 4):
        sys.exit(f"{package} could not be ported")


def port(package: str) -> list[str]:
    """The command that ports a package."""
    out = str(BUILD / "ported" / package)
    return [str(ONEFLOW), "-m", "torch2flow", "port", "-m", package, "--python", str(TORCH), "-o", out]


def names_of(package: str, families: bool) -> list[str]:
    """The models of a package."""
    if package == "transformers":
        return list(TRANSFORMERS)
    done = subprocess.run([TORCH, MODELS, package], capture_output=True, check=True, text=True)
    names = done.stdout.split()
    if not families:
        return names
    small = sorted(names, key=lambda name: (not re.search("nano|atto|pico|femto|tiny|small|_t_|_s_", name), len(name)))
    return sorted({re.split(r"[_\d]", name)[0]: name for name in reversed(small)}.values())


def cover(package: str, arguments: argparse.Namespace) -> None:
    """Verifies all models of a package that match, and prints a line for each."""
    results = BUILD / f"{package}.jsonl"
    known: dict[str, dict[str, Any]] = {}
    if results.exists():
        known = {row["name"]: row for row in map(json.loads, results.read_text().splitlines())}
    names = names_of(package, arguments.families)
    chosen = [n for n in names if any(fnmatch.fnmatch(f"{package}/{n}", pattern) for pattern in arguments.patterns)]
    for name in chosen:
        if name not in known or arguments.fresh:
            known[name] = row = verified(package, name, arguments)
            print(f"{name:40} {row['verdict']:14} {row['why'][:300]}", flush=True)
            results.write_text("".join(json.dumps(known[each]) + "\n" for each in sorted(known)))
    counts: dict[str, int] = {}
    for name in chosen:
        counts[known[name]["verdict"]] = counts.get(known[name]["verdict"], 0) + 1
    print(f"{package}: {len(chosen)} models: {counts}")


def verified(package: str, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Verifies one model."""
    started = time.perf_counter()
    given, inputs = {"name": name}, ""
    if package == "torchvision":
        more, inputs = next(row for pattern, row in INPUTS.items() if fnmatch.fnmatch(name, pattern))
        given |= more
    elif package == "transformers":
        given |= TRANSFORMERS[name]
    command = [*port(package), "--as-is", "--json", "--verify", f"{MODELS}:{package}", "--kwargs", json.dumps(given)]
    command += ["--input", inputs] * (2 if name.startswith("raft") else 1) if inputs else []
    command += [] if arguments.layers else ["--no-layers"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said, errors = process.communicate(timeout=arguments.seconds)
        found = json.loads(said)["models"][0]
        row = {"name": name, "verdict": found["verdict"], "why": "" if process.returncode == 0 else found["sentence"]}
    except subprocess.TimeoutExpired:
        process.terminate()  # so that it ends its own children too, which a kill would leave behind
        process.communicate()
        row = {"name": name, "verdict": "too slow", "why": ""}
    except (ValueError, KeyError):
        row = {"name": name, "verdict": "not compared", "why": " ".join(errors.split())[:400]}
    return {**row, "seconds": round(time.perf_counter() - started, 1)}


if __name__ == "__main__":
    main()
