"""A conversion that is cut for the ranks of a job: what each rank's folder will hold, before a byte is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.pytorch import TensorRef
from torch2flow.checkpoints.sharding.rank_folders import FORMAT, check_blocks, cut, placed_rows, write_ranks
from torch2flow.checkpoints.sharding.sharding_plan import Settled, ShardingPlan, Sized
from torch2flow.checkpoints.writing import ConversionPlan
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.errors import UnsupportedError

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Cut:
    """The plan of a conversion, cut for the ranks of a job.

    Attributes:
        whole: the conversion.
        settled: where each tensor lies.
        parts: what each rank's folder holds.
    """

    whole: ConversionPlan
    settled: Settled
    parts: list[ConversionPlan]

    @property
    def nbytes(self) -> int:
        """Bytes of all folders."""
        return sum(part.nbytes for part in self.parts)

    @property
    def tensors(self) -> int:
        """How many blocks there are."""
        return sum(len(part.entries) for part in self.parts)

    @property
    def placements(self) -> list[list[Any]]:
        """Every list of ranks on which some tensor lies."""
        return [self.settled.mesh.grid(stage) for stage in range(self.settled.mesh.stages)]

    def write(self, path: Path, progress: Progress, hashing: bool, version: str) -> None:
        """Writes each rank's folder."""
        write_ranks(self.parts, path, progress, hashing, version)

    def describe(self, manifest: dict[str, Any]) -> None:
        """Adds to the manifest how it was cut."""
        mesh = self.settled.mesh
        manifest |= {"format": FORMAT, "mesh": mesh.sizes, "ranks": mesh.ranks, "placements": self.placements}
        if self.whole.ties:
            manifest["names"] = list(self.whole.tree)

    def rows(self) -> Iterable[dict[str, Any]]:
        """The manifest's rows."""
        return placed_rows(self.whole, self.settled.layouts, self.placements)


def cut_plan(plan: ConversionPlan, sharding: ShardingPlan, ranks: int | None) -> Cut:
    """Cuts a conversion.

    Raises:
        UsageError: the plan can't be carried out.
        UnsupportedError: a tensor is not dense, or would get another shape.
    """
    odd = [
        f"{entry.names[0]}: {entry.tensor!r}"
        for entry in plan.entries
        if not isinstance(entry.tensor, TensorRef) or entry.tensor.shape != entry.shape
    ]
    if odd:
        raise UnsupportedError(
            f"{len(odd)} tensors can't be cut as they are not dense, or become something else:\n    "
            + "\n    ".join(odd[:SHOWN]),
            where=str(plan.checkpoint.path),
            remedy="convert without --plan first, or leave them out with --exclude NAME",
        )
    sizes = {
        name: Sized(entry.shape, entry.stored.itemsize, entry.names[0])
        for entry in plan.entries
        for name in entry.names
    }
    check_blocks(len(sizes), sharding.meshed(ranks).ranks, sharding.origin)
    settled = sharding.settle(sizes, ranks)
    if settled.unmatched and settled.mesh.axes:
        nbytes = sum(sizes[name].nbytes for name in settled.unmatched)
        share = nbytes / max(1, plan.nbytes)
        plan.notes.append(
            f"no pattern of the plan matches {len(settled.unmatched)} tensors, {share:.1%} of the bytes: "
            "each rank has them whole"
        )
    parts = [cut(plan, settled.layouts, rank) for rank in range(settled.mesh.ranks)]
    return Cut(plan, settled, parts)
