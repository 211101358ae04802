"""`torch2flow convert` to OneFlow's folder, against copying that folder and against the guide's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab import GB, Lab, child, empty, torch2flow
from measuring import Contender, Figures, compare, measure
from report import MIB, Comparison, Target

SIZES = (1 * GB, 4 * GB)
COUNTS = (16, 20_000)

NEEDS = 3 * max(SIZES) + len(SIZES) * 6 * 3 * max(COUNTS) * 4096
"""The source, its copy and one more at a time; and the folders of every run, which stay until the end."""


def run(lab: Lab) -> Iterator[Comparison]:
    """Few large tensors and many small ones, of two sizes."""
    for size in (lab.size(SIZES[0]),) if lab.quick else SIZES:
        for count in COUNTS:
            yield _compare(lab, size, count // 10 if lab.quick and count > 1000 else count)


def _compare(lab: Lab, size: int, count: int) -> Comparison:
    source, tree = lab.checkpoint(size, count), lab.fresh("tree")
    measure(lab, [torch2flow(), "convert", source, "-o", tree, "--quiet"])
    contenders = [
        Contender(
            "torch2flow convert",
            lambda out: [torch2flow(), "convert", source, "-o", out],
            (source,),
            output="",
        ),
        Contender("cp -r of its output", lambda out: ["/bin/cp", "-r", tree, out], (tree,), output=""),
        recipe(source),
    ]
    figures = compare(lab, contenders)
    for used in (source, tree):
        empty(used)
    return Comparison(f"Convert {size / GB:g} GB of float32, {count:,} tensors", figures, targets(*figures))


def recipe(source: Path) -> Contender:
    """torch.load, `.numpy()`, flow.tensor, flow.save."""
    return Contender(
        "torch.load, .numpy(), flow.save",
        lambda out: [*child("recipe"), source, out],
        (source,),
        at_most=3,
        output="pickled_data",
    )


def targets(ours: Figures, copy: Figures, guide: Figures) -> list[Target]:
    """The three that issue #2 sets."""
    return [
        Target("times cp -r of the output", ours.wall / copy.wall, 1.1),
        Target("times cp -r, by CPU time", ours.cpu / copy.cpu),
        Target("times faster than the guide's way", guide.wall / ours.wall, 8, at_least=True),
        Target("times less CPU time than the guide's way", guide.cpu / ours.cpu),
        Target("peak memory", ours.rss / MIB, 64, "MiB"),
    ]
