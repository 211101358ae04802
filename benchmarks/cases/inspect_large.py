"""`torch2flow inspect` of 10 GB, which must not read them.

Real PyTorch writes the file; tensors of zeros become holes in it, so it takes no room on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab import GB, Lab, torch2flow
from measuring import Contender, compare
from report import MIB, Comparison, Target

NEEDS = GB // 10

SIZE = 10 * GB
TENSORS = 320  # about as many as a language model of this size has


def run(lab: Lab) -> Iterator[Comparison]:
    """The table and the JSON."""
    size = lab.size(SIZE)
    source = lab.checkpoint(size, TENSORS, sparse=True)
    contenders = [
        Contender("torch2flow inspect", lambda out: [torch2flow(), "inspect", source]),
        Contender("torch2flow inspect --json", lambda out: [torch2flow(), "inspect", source, "--json"]),
    ]
    figures = compare(lab, contenders)
    targets = [
        Target("torch2flow inspect", figures[0].wall, 1.0, "s"),
        Target("peak memory", figures[0].rss / MIB, 64, "MiB"),
    ]
    yield Comparison(f"Inspect {size / GB:g} GB, {TENSORS} tensors", figures, targets)
