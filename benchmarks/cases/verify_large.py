"""A Llama of a billion parameters, verified layer by layer: how long that takes, and what memory beside the weights."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab import CHILDREN, GB, Lab, torch2flow
from measuring import Contender, compare
from report import Comparison, Target

TORCH = Path(__file__).resolve().parents[2] / ".venv-torch" / "bin" / "python"
LAYERS = 18
NEEDS = 14 * GB


def run(lab: Lab) -> Iterator[Comparison]:
    """float32, and bfloat16 that is converted to float32."""
    layers = 2 if lab.quick else LAYERS
    for kind in ("float32", "bfloat16"):
        folder = lab.fresh(kind)
        folder.mkdir()
        model, out = folder / "llama.pt2", folder / "llama"
        factory = f"{CHILDREN / 'llama.py'}:llama(layers={layers},kind='{kind}')"
        _run([TORCH, "-I", "-m", "torch2flow", "capture", factory, "-o", model, "--input", "int64[1,32]:0..32000"])
        _run([torch2flow(), "convert", model, "-o", out, "--dtype", "float32"])
        manifest = json.loads((out / "manifest.json").read_text())
        weights = sum(row["bytes"] for row in manifest["tensors"])
        command = [torch2flow(), "verify", out, "--reference", model]
        (figures,) = compare(
            lab, [Contender("torch2flow verify", lambda _, command=command: command, (out,), at_most=2)]
        )
        yield Comparison(
            f"Verify a Llama of {weights / 4e9:.2f} billion parameters, {kind} in PyTorch",
            [figures],
            [Target("peak above the weights", (figures.rss - weights) / 1e6, 1000, "MB")],
        )
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env={**os.environ})
    if done.returncode:
        raise OSError(f"{" ".join(map(str, command[:5]))} failed: {done.stderr[-300:]}")
