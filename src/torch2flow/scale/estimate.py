"""Estimates a sharding plan from the header of a checkpoint: what each rank holds and reads, and how evenly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.pytorch import Checkpoint
from torch2flow.checkpoints.sharding.placement import Layout
from torch2flow.checkpoints.sharding.sharding_plan import Settled, ShardingPlan, Sized

if TYPE_CHECKING:
    import numpy as np

PAGE = 4096
"""The bytes of a page, which the kernel reads at least: a short run of a row costs a page."""

READ_SPEED = 1e9
"""Bytes per second that one rank reads, where nothing else is said: a local NVMe shared by a few, or the page cache."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What each rank holds.

    Attributes:
        settled: where each tensor lies.
        whole: bytes of the checkpoint's tensors, tied ones counted once.
        held: bytes of each rank's blocks, by rank.
        touched: bytes it reads for that, in pages: more where a split leaves short runs.
        repeated: bytes of each tensor that every rank of its stage holds, by name; largest first.
        seconds: the slowest rank's reading, at the speed stated.
    """

    settled: Settled
    whole: int
    held: np.ndarray[Any, Any]
    touched: np.ndarray[Any, Any]
    repeated: dict[str, int]
    seconds: float

    @property
    def imbalance(self) -> float:
        """The bytes of the fullest rank, divided by the mean: 1 is even."""
        mean = float(self.held.mean())
        return float(self.held.max()) / mean if mean else 1.0

    def to_json(self) -> dict[str, Any]:
        """As plain data; tensors in the order of the checkpoint."""
        settled = self.settled
        return {
            "mesh": settled.mesh.sizes,
            "ranks": settled.mesh.ranks,
            "bytes": self.whole,
            "bytes_per_rank": {
                "least": int(self.held.min()), "mean": float(self.held.mean()), "most": int(self.held.max()),
                "fullest_rank": int(self.held.argmax()),
            },
            "imbalance": self.imbalance,
            "read_per_rank": {"mean": float(self.touched.mean()), "most": int(self.touched.max())},
            "seconds_to_read": self.seconds,
            "unmatched": settled.unmatched,
            "tensors": [
                {"name": name, "stage": settled.stages[name], "split": list(layout.axes)}
                for name, layout in settled.layouts.items()
            ],
        }  # fmt: skip


def sized(checkpoint: Checkpoint) -> dict[str, Sized]:
    """What a plan has to know of a checkpoint's tensors."""
    first: dict[Any, str] = {}
    return {
        name: Sized(tensor.shape, tensor.dtype.itemsize, first.setdefault(tensor.identity, name))
        for name, tensor in checkpoint.items()
    }


def estimate(
    plan: ShardingPlan, tensors: Mapping[str, Sized], ranks: int | None = None, *, speed: float = READ_SPEED
) -> Estimate:
    """Computes what each rank holds and reads; no rank is started and no tensor is read.

    Args:
        plan: how tensors are split.
        tensors: names, in the model's order.
        ranks: how many there are; None if the plan says so itself.
        speed: bytes per second that a rank reads.

    Raises:
        UsageError: the plan can't be carried out.
    """
    import numpy as np

    settled = plan.settle(tensors, ranks)
    held = np.zeros(settled.mesh.ranks, np.int64)
    touched = np.zeros(settled.mesh.ranks, np.int64)
    repeated: dict[str, int] = {}
    known: dict[tuple[Any, ...], tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], list[int]]] = {}
    whole = 0
    for name, tensor in tensors.items():
        if tensor.tied and tensor.tied != name:
            continue
        whole += tensor.nbytes
        layout = settled.layouts[name]
        key = (tensor.shape, tensor.itemsize, layout.axes, settled.stages[name])
        if key not in known:
            elements = layout.elements(tensor.shape).reshape(-1) * tensor.itemsize
            ranks_of = np.array(layout.ranks).reshape(-1).tolist()
            known[key] = elements, np.ceil(elements * _waste(tensor, layout)).astype(np.int64), ranks_of
        mine, read, at = known[key]
        held[at] += mine
        touched[at] += read
        if layout.is_whole and settled.mesh.axes:
            repeated[name] = tensor.nbytes
    repeated = dict(sorted(repeated.items(), key=lambda item: -item[1]))
    return Estimate(settled, whole, held, touched, repeated, float(touched.max(initial=0)) / speed)


def _waste(tensor: Sized, layout: Layout) -> float:
    """How many bytes are read for one byte that is held: the kernel reads whole pages."""
    sizes = list(tensor.shape)
    for axis, count in zip(layout.axes, layout.counts, strict=True):
        if axis is not None:
            sizes[axis] = -(-sizes[axis] // count)
    last = max((axis for axis in layout.axes if axis is not None), default=0)
    run = math.prod(sizes[last:]) * tensor.itemsize  # lies side by side in the file
    held = math.prod(sizes) * tensor.itemsize
    pages = run // PAGE + (2 if run % PAGE else 0)
    return min(pages * PAGE / run, tensor.nbytes / held) if held else 1.0
