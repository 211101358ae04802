"""A checkpoint cut for the ranks of a job: a folder for each, which `flow.load` reads, and a manifest of the whole.

    out/manifest.json            every tensor's whole shape, and its placement: which block of it which rank has
    out/rank_0/pickled_data      rank 0's blocks, as `folder.py` writes any checkpoint
    out/rank_0/weights/...

Opened, it is one checkpoint again. A rank's folder is opened when something of it is read, so a rank that asks for its
own blocks opens its own folder and no other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.oneflow.folder import PICKLED_DATA, WEIGHTS, write_folder
from torch2flow.checkpoints.oneflow.reading import open_folder
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import Checkpoint, Container, Storage, TensorRef
from torch2flow.checkpoints.pytorch.pieced_tensor import Piece, PiecedTensor
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import check_shape, contiguous_stride
from torch2flow.checkpoints.sharding.placement import Corner, Layout
from torch2flow.checkpoints.writing import ConversionPlan, Entry
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.checkpoints.writing.manifest import MANIFEST, describe, file_rows, tensor_rows, write_manifest
from torch2flow.checkpoints.writing.manifest_reading import TensorRow, read_manifest
from torch2flow.checkpoints.writing.value_changes import plain_source
from torch2flow.errors import FormatError

FORMAT = "ranks"

MOST_BLOCKS = 1 << 20
"""Tensors times ranks: each costs some twenty microseconds before its bytes are written."""


def rank_folder(path: Path, rank: int) -> Path:
    """Where a rank's blocks lie."""
    return path / f"rank_{rank}"


# -- writing -------------------------------------------------------------------------------------------------------


def cut(plan: ConversionPlan, layouts: dict[str, Layout], rank: int) -> ConversionPlan:
    """The part of a plan that one rank holds, as a plan of its own.

    Args:
        plan: of dense tensors whose shapes don't change.
        layouts: where each lies, by name.
        rank: whose blocks.
    """
    part = replace(plan, tree=StatefulDict(), entries=[], by_tensor={}, notes=[])
    made: dict[int, Entry] = {}
    for name, tensor in plan.tree.items():
        entry = plan.entry(tensor)
        block = layouts[entry.names[0]].block(entry.shape, rank)
        if block is None:
            continue
        if id(entry) not in made:
            assert isinstance(entry.tensor, TensorRef)
            region = entry.tensor.region(*block)
            plain = plain_source(region, entry.change) if entry.stored is entry.dtype else None
            own = Entry(list(entry.names), region, entry.dtype, entry.stored, region.shape, entry.change, plain)
            part.entries.append(own)
            part.by_tensor[region] = made[id(entry)] = own
        part.tree[name] = made[id(entry)].tensor
    return part


def write_ranks(parts: list[ConversionPlan], path: Path, progress: Progress, hashing: bool, version: str) -> None:
    """Writes each rank's folder, with a manifest of its own.

    Raises:
        FormatError: the source is damaged.
        OSError: the folders can't be written.
    """
    for rank, part in enumerate(parts):
        folder = rank_folder(path, rank)
        folder.mkdir(parents=True, exist_ok=True)
        write_folder(part, folder, progress, hashing)
        manifest = {**describe(part, "folder", version), "files": file_rows(folder, {WEIGHTS})}
        write_manifest(manifest, tensor_rows(part), folder / MANIFEST)


def placed_rows(
    plan: ConversionPlan, layouts: dict[str, Layout], placements: list[list[Any]]
) -> Iterable[dict[str, Any]]:
    """The manifest's rows of the whole: where each tensor lies, its placement by its number in a list.

    Args:
        plan: of the whole.
        layouts: by name.
        placements: every `Layout.ranks` there is.
    """
    for row, entry in zip(tensor_rows(plan), plan.entries, strict=True):
        layout = layouts[entry.names[0]]
        row["placed"] = [placements.index(layout.ranks), list(layout.axes)]
        if entry.tensor.is_parameter:
            row |= {"parameter": True, "trainable": entry.tensor.requires_grad}
        yield row


def check_blocks(tensors: int, ranks: int, where: str) -> None:
    """Refuses a cut into more blocks than a job has.

    Raises:
        FormatError: there are more.
    """
    if tensors * ranks > MOST_BLOCKS:
        raise FormatError(
            f"{tensors} tensors on {ranks} ranks are more than {MOST_BLOCKS} blocks.",
            where=where,
            remedy="cut it for fewer ranks, along axes that the job really has",
        )


# -- reading -------------------------------------------------------------------------------------------------------


def is_ranks(path: Path) -> bool:
    """Whether a path is a folder of ranks' folders."""
    # Not pathlib's, which raise where a folder can't be entered.
    return os.path.isfile(path / MANIFEST) and os.path.isfile(rank_folder(path, 0) / PICKLED_DATA)


@dataclass(slots=True)
class Block:
    """The block of a tensor that some ranks hold. Its folder is opened when a part of the block is asked for."""

    name: str
    shape: Corner
    ranks: list[int]
    folders: _Folders

    def region(self, start: Corner, stop: Corner) -> TensorRef:
        """The block between two corners of this one."""
        return self.folders.tensor(self).region(start, stop)


@dataclass(slots=True)
class _Folders:
    """The ranks' folders, each opened once and only when it is needed."""

    path: Path
    files: list[SourceFile]
    opened: dict[int, Checkpoint] = field(default_factory=dict)

    def tensor(self, block: Block) -> TensorRef:
        rank = self._choose(block.ranks)
        if rank not in self.opened:
            folder = rank_folder(self.path, rank)
            container = open_folder(folder)
            self.files += container.files
            self.opened[rank] = Checkpoint(folder, container, ".")
        tensor = self.opened[rank].get(block.name)
        if not isinstance(tensor, TensorRef) or tensor.shape != block.shape:
            raise FormatError(
                f"Rank {rank}'s part of {block.name[:200]!r} is not the block that the manifest says.",
                where=str(rank_folder(self.path, rank)),
                maybe="the folders come from two conversions",
            )
        return tensor

    def _choose(self, ranks: list[int]) -> int:
        """Of several ranks that hold the same block, chooses this process's own, or one whose folder is here."""
        own = os.environ.get("RANK", "")
        here = [rank for rank in ranks if rank_folder(self.path, rank).is_dir()]
        if not here:
            raise FormatError(
                f"The folder of rank {ranks[0]} is missing.",
                where=str(self.path),
                maybe="it lies on another machine: a job of as many ranks, laid out alike, reads only its own",
            )
        return next((rank for rank in here if str(rank) == own), here[0])


def open_ranks(path: Path) -> Container:
    """All ranks' folders as one checkpoint.

    Raises:
        FormatError: the manifest is damaged, or its blocks do not make up the tensors.
    """
    manifest = read_manifest(path)
    where = str(path / MANIFEST)
    if manifest["format"] != FORMAT or "placements" not in manifest:
        raise FormatError("The manifest is not that of a checkpoint cut for ranks.", where=where)
    files = [SourceFile(path / MANIFEST)]
    folders = _Folders(path, files)
    root = StatefulDict()
    check_blocks(len(manifest["tensors"]), max(map(_size, manifest["placements"]), default=0), where)
    for row in manifest["tensors"]:
        for name, tensor in _tensors(row, manifest["placements"], folders, where):
            root[name] = tensor
    order = manifest.get("names", [])  # tied names are in one row, wherever they are
    if set(order) == set(root):
        for name in order:
            root.move_to_end(name)
    return Container("oneflow-ranks", root, files, "torch2flow")


def _size(ranks: Any) -> int:
    """How many ranks a placement has, at most, by its first rows."""
    count = 1
    while isinstance(ranks, list) and ranks:
        count, ranks = count * len(ranks), ranks[0]
    return count


def _tensors(
    row: TensorRow, placements: list[Any], folders: _Folders, where: str
) -> Iterator[tuple[str, PiecedTensor]]:
    name, shape = row["name"], tuple(row["shape"])
    dtype = DTYPES[row["source_dtype"] if row.get("change") == "widened" and "source_dtype" in row else row["dtype"]]
    number, axes = row.get("placed", (len(placements), []))
    if number >= len(placements) or any(axis is not None and axis >= len(shape) for axis in axes):
        raise FormatError(f"The manifest does not place {name[:200]!r} on ranks.", where=where)
    layout = Layout.from_json({"ranks": placements[number], "split": axes}, where)
    check_shape(shape)
    blocks: dict[tuple[Corner, Corner], list[int]] = {}
    for rank in layout.places:
        block = layout.block(shape, rank)
        assert block is not None
        blocks.setdefault(block, []).append(rank)
    pieces: list[tuple[Corner, Piece]] = [
        (start, Block(name, tuple(b - a for a, b in zip(start, stop, strict=True)), ranks, folders))
        for (start, stop), ranks in blocks.items()
    ]
    storage = Storage(name, math.prod(shape) * dtype.itemsize)
    is_parameter, requires_grad = row.get("parameter", False), row.get("trainable", False)
    whole = PiecedTensor(dtype, shape, contiguous_stride(shape), 0, storage, requires_grad, is_parameter, pieces=pieces)
    yield from ((each, whole) for each in (name, *row.get("also", [])))
