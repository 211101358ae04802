"""A Llama larger than the machine, from its folder to OneFlow: how long each step takes, and how much memory.

    .venv/bin/python scripts/large_model.py --size 1b --dir /big/disk
    .venv/bin/python scripts/large_model.py --size 8b --dir /big/disk --verify

The weights are random numbers in bfloat16, in the shapes of Llama 3 and in shards of up to 4 GB, as its folder has
them. Everything is written below --dir and deleted at the end; it takes three times the size of the weights at most.
Prints a row of JSON for each step. The target: at most 4 GiB of memory for each step but the proof, which may have 8,
and at most 1.3 times `cp -r` of the weights for the conversion, beside the export.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TORCH, FLOW = (str(ROOT / name / "bin/python") for name in (".venv-torch", ".venv"))

SIZES = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 128, "tie_word_embeddings": True},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256, "tie_word_embeddings": True},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256, "tie_word_embeddings": False},
}  # fmt: skip
"""Llama 3.2 1B and Llama 3.1 8B by their `config.json`, and one for a try."""

COMMON = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
    "max_position_embeddings": 8192, "rope_theta": 500000.0, "dtype": "bfloat16", "torch_dtype": "bfloat16",
    "bos_token_id": 1, "eos_token_id": 2, "attention_bias": False, "mlp_bias": False, "use_cache": True,
}  # fmt: skip

SHARD = 4 << 30
"""Bytes of a shard."""

BLOCK = 64 << 20
"""Bytes of random numbers that are made at once."""


def tensors(config: dict[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names and shapes of a Llama."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        for name, shape in (
            ("input_layernorm", (hidden,)), ("post_attention_layernorm", (hidden,)),
            ("self_attn.q_proj", (queries, hidden)), ("self_attn.k_proj", (keys, hidden)),
            ("self_attn.v_proj", (keys, hidden)), ("self_attn.o_proj", (hidden, queries)),
            ("mlp.gate_proj", (inner, hidden)), ("mlp.up_proj", (inner, hidden)), ("mlp.down_proj", (hidden, inner)),
        ):  # fmt: skip
            yield f"{layer}.{name}.weight", shape
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (vocabulary, hidden)


def write_folder(folder: Path, config: dict[str, int]) -> int:
    """Writes config, shards and index; returns the bytes of the weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**COMMON, **config}, indent=2))
    shards: list[list[tuple[str, tuple[int, ...]]]] = [[]]
    held = total = 0
    for name, shape in tensors(config):
        nbytes = 2 * int(np.prod(shape))
        if shards[-1] and held + nbytes > SHARD:
            shards.append([])
            held = 0
        shards[-1].append((name, shape))
        held, total = held + nbytes, total + nbytes
    index: dict[str, str] = {}
    generator = np.random.default_rng(0)
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_shard(folder / file, shard, generator)
        index.update((name, file) for name, _ in shard)
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
    (folder / "model.safetensors.index.json").write_text(text)
    return total


def write_shard(path: Path, shard: list[tuple[str, tuple[int, ...]]], generator: np.random.Generator) -> None:
    """One file of safetensors; a matrix has small numbers, and the weight of a norm has some around one."""
    header, end = {}, 0
    for name, shape in shard:
        nbytes = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + nbytes]}
        end += nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for _, shape in shard:
            # Sign and the last eight bits at random: magnitudes from 2^-7 to 2^-5, or from 0.5 to 2 without a sign.
            mask, exponent = (0x80FF, 0x3C00) if len(shape) > 1 else (0x00FF, 0x3F00)
            for start in range(0, 2 * int(np.prod(shape)), BLOCK):
                count = min(BLOCK, 2 * int(np.prod(shape)) - start) // 2
                bits = generator.integers(0, 1 << 16, count, np.uint16)
                stream.write(((bits & mask) | exponent).astype("<u2"))


def measure(step: str, command: list[str], **more: object) -> float:
    """Runs a command and what it wrote to the disk; prints seconds and peak memory."""
    os.sync()
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")})
    _, status, usage = os.wait4(pid, 0)
    ran = time.perf_counter() - started
    os.sync()
    flushed = time.perf_counter() - started
    row = {"step": step, "seconds": round(ran, 1), "with sync": round(flushed, 1),
           "user": round(usage.ru_utime, 1), "system": round(usage.ru_stime, 1),
           "peak MiB": usage.ru_maxrss >> 10, "status": os.waitstatus_to_exitcode(status), **more}  # fmt: skip
    print(json.dumps(row), flush=True)
    if row["status"]:
        sys.exit(f"{step} failed: {' '.join(command)}")
    return flushed


def main() -> None:
    """Makes the folder, and measures each step on the way to OneFlow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--dir", type=Path, required=True, help="a folder on a disk with room")
    parser.add_argument("--verify", action="store_true", help="record what the model computes, and compare OneFlow")
    parser.add_argument("--reference", default="all", help="with --verify: as for capture")
    parser.add_argument("--ranks", type=int, default=0, help="cut it for so many ranks too")
    given = parser.parse_args()
    work = given.dir / f"large-model-{given.size}"
    folder, copy, out = work / "llama", work / "copy", work / "out"
    try:
        total = write_folder(folder, SIZES[given.size])
        print(json.dumps({"weights": total, "GB": round(total / 1e9, 2)}), flush=True)
        copying = measure("cp -r", ["/bin/cp", "-r", str(folder), str(copy)])
        shutil.rmtree(copy)
        flow, torch = [FLOW, "-m", "torch2flow"], [TORCH, "-m", "torch2flow"]
        program = str(work / "llama.pt2")
        export = [*torch, "capture", str(folder), "-o", program, "--without-weights", "--overwrite", "-q"]
        measure("capture --without-weights --reference none", [*export, "--reference", "none"])
        convert = [*flow, "convert", program, "--weights", str(folder), "-q", "-o"]
        seconds = measure("convert --weights", [*convert, str(out)])
        print(json.dumps({"convert / cp": round(seconds / copying, 2)}), flush=True)
        if given.ranks:
            cut = [*convert, str(work / "cut"), "--plan", "llama", "--ranks", str(given.ranks)]
            measure("convert --weights --plan llama", cut)
            shutil.rmtree(work / "cut")
        if given.verify:
            more = ["--reference", given.reference]
            measure(f"capture --without-weights {chr(32).join(more)}", [*export, *more])
            measure("verify", [*flow, "verify", str(out)])
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
