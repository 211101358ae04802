"""The other roads: bfloat16, safetensors, OneFlow 1.x's single file, and back to PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab import GB, Lab, empty, torch2flow
from measuring import Contender, compare, measure
from report import MIB, Comparison, Target

SIZE = 1 * GB
TENSORS = 200

NEEDS = 6 * SIZE


def run(lab: Lab) -> Iterator[Comparison]:
    """One comparison: all of them beside the plain conversion and a plain copy."""
    size = lab.size(SIZE)
    source, half = lab.checkpoint(size, TENSORS), lab.checkpoint(size // 2, TENSORS, "bfloat16")
    safe, tree = lab.fresh("safe").with_suffix(".safetensors"), lab.fresh("tree")
    for path in (safe, tree):
        measure(lab, [torch2flow(), "convert", source, "-o", path, "--quiet"])
    contenders = [
        Contender("cp of the source", lambda out: ["/bin/cp", source, out], (source,), output=""),
        _conversion("zip to folder", source),
        _conversion("bfloat16 (0.5 of the size) to folder, stored as float32", half),
        _conversion("safetensors to folder", safe),
        _conversion("zip to single file", source, "--format", "file"),
        _conversion("folder back to safetensors", tree, "--format", "safetensors"),
        _conversion("folder back to pth", tree, "--format", "pth"),
    ]
    figures = compare(lab, contenders)
    for used in (source, half, safe, tree):
        empty(used)
    peak = max(one.rss for one in figures)
    yield Comparison(
        f"Other formats, {size / GB:g} GB written, {TENSORS} tensors",
        figures,
        [Target("largest peak memory", peak / MIB, 64, "MiB")],
    )


def _conversion(label: str, source: Path, *options: str) -> Contender:
    return Contender(
        label,
        lambda out: [torch2flow(), "convert", source, "-o", out, "--quiet", *options],
        (source,),
        output="",
    )
