#!/usr/bin/env python3
"""Ports torchvision and timm as they are installed, and compares every model that they build with the original.

    make port-coverage                              # all, resumable: hours
    make port-coverage ARGS="'torchvision/resnet*' 'timm/vit_tiny*' --fresh"

The original runs in .venv-torch, the ported package in .venv, which has no torchvision or timm of its own on its path.
Of each model: its weights load strictly, outputs and gradients agree within the noise of float32, at two sizes.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "port-coverage"
TORCH, ONEFLOW = ROOT / ".venv-torch/bin/python", ROOT / ".venv/bin/python"
SIDES = ROOT / "scripts" / "port_sides.py"
PACKAGES = ("torchvision", "timm")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("patterns", nargs="*", default=["*"], help="package/model, with * and ?")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--seconds", type=int, default=600, help="for one model on one side")
    parser.add_argument("--rules", action="append", default=[], metavar="FILE.py", help="for `torch2flow port`")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if any(fnmatch.fnmatch(f"{package}/", f"{pattern.partition('/')[0]}/") for pattern in arguments.patterns):
            port_package(package, arguments.rules)
            cover(package, arguments)


def port_package(package: str, rules: list[str]) -> None:
    """Ports an installed package anew."""
    out = BUILD / "ported" / package
    command = [ONEFLOW, "-m", "torch2flow", "port", "-m", package, "--python", TORCH, "-o", out, "--overwrite", "-q"]
    command += [part for file in rules for part in ("--rules", file)]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 4):
        sys.exit(f"{package} could not be ported")


def cover(package: str, arguments: argparse.Namespace) -> None:
    """Compares all models of a package that match, and prints a line for each."""
    results = BUILD / f"{package}.jsonl"
    known: dict[str, dict[str, Any]] = {}
    if results.exists():
        known = {row["name"]: row for row in map(json.loads, results.read_text().splitlines())}
    names = json.loads(subprocess.run([TORCH, SIDES, "list", package], capture_output=True, check=True).stdout)
    chosen = [n for n in names if any(fnmatch.fnmatch(f"{package}/{n}", pattern) for pattern in arguments.patterns)]
    for name in chosen:
        if name not in known or arguments.fresh:
            row = compare(package, name, arguments.seconds)
            known[name] = row
            print(f"{name:40} {row['verdict']:14} {row.get('why', '')[:150]}", flush=True)
            results.write_text("".join(json.dumps(known[n]) + "\n" for n in names if n in known))
    counts: dict[str, int] = {}
    for name in chosen:
        counts[known[name]["verdict"]] = counts.get(known[name]["verdict"], 0) + 1
    print(f"{package}: {len(chosen)} models: {counts}")


def compare(package: str, name: str, seconds: int) -> dict[str, Any]:
    """Builds one model on both sides and compares what they compute."""
    started = time.perf_counter()
    row: dict[str, Any] = {"name": name}
    folder = Path(tempfile.mkdtemp(prefix="port-"))
    try:
        for side, python in (("original", TORCH), ("ported", ONEFLOW)):
            path = {**os.environ, "PYTHONPATH": str(BUILD / "ported")} if side == "ported" else dict(os.environ)
            try:
                command = [python, SIDES, side, package, name, folder]
                done = subprocess.run(command, capture_output=True, timeout=seconds, env=path, text=True)
            except subprocess.TimeoutExpired:
                return {**row, "verdict": f"{side}: too slow"}
            said = folder / f"{side}.json"
            if not said.exists():
                last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
                return {**row, "verdict": f"{side} fails", "why": last}
            row |= json.loads(said.read_text())
            row.pop("metadata", None)
        return row
    finally:
        shutil.rmtree(folder)
        row["seconds"] = round(time.perf_counter() - started, 1)


if __name__ == "__main__":
    main()
