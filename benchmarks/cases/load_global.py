"""`torch2flow.load_state_dict` into a global model on real ranks, against OneFlow's own `flow.load(global_src_rank=0)`.

The time is from when all ranks are ready until the last has loaded; the memory what a rank has of its own beside its
shard. In bfloat16 OneFlow's own way aborts on a CPU (0.9.0), so there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab import Lab, child, empty
from measuring import Contender, compare
from report import Comparison, Target

SIDE, TENSORS = 4096, 32
SIZE = TENSORS * SIDE * SIDE * 4

CASES = (
    (2, "rows", "float32"),
    (4, "rows", "float32"),
    (4, "columns", "float32"),
    (4, "both", "float32"),
    (2, "columns", "bfloat16"),
    (4, "rows", "bfloat16"),
)
NEEDS = 2 * SIZE


def run(lab: Lab) -> Iterator[Comparison]:
    """Splits of a checkpoint of 2 GB, on two and four ranks."""
    for dtype in ("float32", "bfloat16"):
        size = SIZE // (10 if lab.quick else 1) // SIDE // SIDE // 4 * SIDE * SIDE * 4
        tensors = size // (SIDE * SIDE * 4)
        source = lab.checkpoint(size if dtype == "float32" else size // 2, tensors, dtype)
        for ranks, split, kind in CASES:
            if kind == dtype:
                yield _compare(lab, source, size if dtype == "float32" else size // 2, ranks, split, dtype)
        empty(source)


def _compare(lab: Lab, source: Path, size: int, ranks: int, split: str, dtype: str) -> Comparison:
    ways = {"torch2flow": "torch2flow.load_state_dict"}
    if dtype == "float32":
        ways["oneflow"] = "flow.load(global_src_rank=0)"
    contenders = [
        Contender(
            label,
            lambda out, way=way: [*child("ranks"), str(ranks), "load_global", way, split, dtype, source],  # type: ignore[misc]
            (source,),
            at_most=3 if way == "oneflow" else 1000,
        )
        for way, label in ways.items()
    ]
    figures = compare(lab, contenders)
    ours = figures[0]
    four = ranks == 4
    targets = [
        Target("torch2flow, the loading alone", ours.told("seconds"), 2 if four else None, "s"),
        Target("private memory above the shard, of any rank", ours.told("above_shard") / 1e6, 100, "MB"),
    ]
    if dtype == "float32":
        own = figures[1]
        targets += [
            Target("OneFlow, the loading alone", own.told("seconds"), unit="s"),
            Target("times faster", own.told("seconds") / ours.told("seconds"), 8, at_least=True),
            Target(
                "OneFlow's private memory above the shard, of rank 0", own.told("above_shard_rank_0") / 1e6, unit="MB"
            ),
        ]
    name = {"rows": "split by rows", "columns": "split by columns", "both": "split by rows and columns"}[split]
    return Comparison(f"Load {size / 1e9:.1f} GB of {dtype} on {ranks} ranks, {name} (whole jobs)", figures, targets)
