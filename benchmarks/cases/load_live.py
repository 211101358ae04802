"""`torch2flow.load_state_dict` into a live model, against OneFlow's own `flow.load` of the same file.

The time is that of the loading alone: both start with the same model, and importing OneFlow takes longer than
the loading does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab import GB, Lab, child, empty
from measuring import Contender, compare
from report import Comparison, Target

SIZE = 1 * GB
COUNTS = (16, 2000)  # OneFlow's load_state_dict looks at every name once for every module: more take minutes

NEEDS = 2 * SIZE


def run(lab: Lab) -> Iterator[Comparison]:
    """Few large parameters and many small ones."""
    for count in COUNTS:
        size = lab.size(SIZE)
        source = lab.checkpoint(size, count)
        figures = compare(
            lab,
            [
                _loading("torch2flow.load_state_dict", "torch2flow", source),
                _loading("flow.load, model.load_state_dict", "oneflow", source),
            ],
        )
        ours, own = figures
        empty(source)
        yield Comparison(
            f"Load {size / GB:g} GB into a live model, {count:,} parameters (whole processes)",
            figures,
            [
                Target("torch2flow, the loading alone", ours.told("seconds"), unit="s"),
                Target("OneFlow, the loading alone", own.told("seconds"), unit="s"),
                Target("times faster", own.told("seconds") / ours.told("seconds"), 1, at_least=True),
                Target("peak above the model (100 MB)", ours.told("above_model") / 1e6, 100, "MB"),
                Target("OneFlow's peak above the model", own.told("above_model") / 1e6, unit="MB"),
            ],
        )


def _loading(label: str, way: str, source: Path) -> Contender:
    return Contender(label, lambda out: [*child("load_live"), way, source], (source,))
