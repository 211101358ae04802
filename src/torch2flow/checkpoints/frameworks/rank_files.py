"""Files that each rank of a job wrote by `torch.save`, as one checkpoint: parts of tensors are put together.

    model_world_size_2_rank_0.pt     {"fc.weight": DTensor, rows 0 to 3; "step": 7}
    model_world_size_2_rank_1.pt     {"fc.weight": DTensor, rows 4 to 6; "step": 7}

How a DTensor is cut follows `Shard._split_tensor` of `torch/distributed/tensor/placement_types.py` (2.13): as
`torch.chunk` does it, one dimension of the mesh after the other.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.pytorch import Container
from torch2flow.checkpoints.pytorch.pieced_tensor import Piece, PiecedTensor, check_cover
from torch2flow.checkpoints.pytorch.shards import LAYOUT
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Storage, TensorRef, contiguous_stride
from torch2flow.checkpoints.pytorch.tree import MAX_DEPTH
from torch2flow.errors import FormatError, UsageError

RANK = re.compile(r"^(.*rank[-_]?)(\d+)(.*\.(?:pt|pth|bin|ckpt))$")
MOST_RANKS = 1 << 14

Start = tuple[int, ...]
Part = tuple[Start, TensorRef]


def rank_files(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder whose names differ in the number of a rank alone, by what they have in common."""
    groups: dict[str, list[tuple[int, str]]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if found := RANK.match(entry.name):
                groups.setdefault(f"{found[1]}*{found[3]}", []).append((int(found[2][:9]), entry.name))
    return {common: [folder / name for _, name in sorted(names)] for common, names in sorted(groups.items())}


def choose_rank_files(folder: Path) -> list[Path]:
    """The files of the model in such a folder; [] where there are none.

    Raises:
        UsageError: there are several groups of files, and none or several of them are called after the model.
    """
    groups = rank_files(folder)
    if len(groups) > 1:
        groups = {common: files for common, files in groups.items() if common.startswith("model")} or groups
    if len(groups) > 1:
        raise UsageError(
            f"The folder holds files of ranks of {len(groups)} kinds: {', '.join(groups)}.",
            where=str(folder),
            remedy="give one of the files: those of the other ranks are found beside it",
        )
    return next(iter(groups.values()), [])


def with_other_ranks(path: Path, container: Container, open_file: Callable[[Path], Container]) -> Container:
    """The container of one rank's file, with the parts that the files of the other ranks beside it hold.

    Args:
        path: the file.
        container: what it holds.
        open_file: opens another such file.

    Raises:
        FormatError: the files don't fit together.
    """
    if not RANK.match(path.name) or not any(_shards(container.root, 0, set())):
        return container
    paths = next(files for files in rank_files(path.parent).values() if path in files)
    if len(paths) > MOST_RANKS:
        raise FormatError(f"There are files of {len(paths):,} ranks.", where=str(path.parent))
    parts = [container if other == path else open_file(other) for other in paths]
    first = parts[0]
    joined = _Joined(path.parent, [part.root for part in parts])
    root = joined.join([part.root for part in parts], "", 0)
    notes = [f"rank 0's was taken where the ranks hold different values: {name}" for name in joined.different[:20]]
    return replace(
        first,
        format="ranks' files",
        root=root,
        opaque={name: count for name, count in first.opaque.items() if not name.startswith("torch.distributed.")},
        files=[file for part in parts for file in part.files],
        producer=f"{len(parts)} ranks, {first.producer}",
        notes=[*first.notes, *notes],
    )


def _shards(value: Any, depth: int, seen: set[int]) -> Iterator[CompositeTensor]:
    if isinstance(value, CompositeTensor):
        if value.layout == LAYOUT:
            yield value
    elif isinstance(value, dict | list | tuple) and depth <= MAX_DEPTH and id(value) not in seen:
        seen.add(id(value))
        for member in value.values() if isinstance(value, dict) else value:
            yield from _shards(member, depth + 1, seen)


class _Joined:
    """One putting together.

    Attributes:
        sizes: the size of the mesh along each of its dimensions, by their number.
        different: names of tensors that are no parts, and whose checksums differ between the ranks.
    """

    def __init__(self, folder: Path, roots: list[Any]) -> None:
        self.folder = folder
        self.different: list[str] = []
        self.sizes: dict[int, list[int]] = {}
        for root in roots:
            for shard in _shards(root, 0, set()):
                coordinate = shard.attributes.get("coordinate", ())
                sizes = self.sizes.setdefault(len(coordinate), [1] * len(coordinate))
                sizes[:] = [max(size, at + 1) for size, at in zip(sizes, coordinate, strict=True)]

    def join(self, values: list[Any], name: str, depth: int) -> Any:
        """The value that all ranks' values are parts of."""
        first = values[0]
        if depth > MAX_DEPTH:
            raise FormatError("The data is nested too deep.", where=name[:80], maybe="a container holds itself")
        if isinstance(first, CompositeTensor) and first.layout == LAYOUT:
            return self._tensor([value for value in values if isinstance(value, CompositeTensor)], name)
        if isinstance(first, dict):
            others = [value if isinstance(value, dict) else {} for value in values]
            joined = type(first)()
            for key in first:
                if any(key not in other for other in others):
                    raise self._differ(f"{name}.{key}" if name else str(key))
                joined[key] = self.join(
                    [other[key] for other in others], f"{name}.{key}" if name else str(key), depth + 1
                )
            for key in {key for other in others for key in other if key not in first}:
                raise self._differ(f"{name}.{key}" if name else str(key))
            if getattr(first, "attributes", None):
                joined.attributes = first.attributes  # type: ignore[attr-defined]
            return joined
        if isinstance(first, list | tuple) and any(_shards(first, depth, set())):
            if any(type(value) is not type(first) or len(value) != len(first) for value in values):
                raise self._differ(name)
            items = (
                self.join(list(members), f"{name}.{number}", depth + 1)
                for number, members in enumerate(zip(*values, strict=True))
            )
            return list(items) if isinstance(first, list) else tuple(items)
        if isinstance(first, TensorRef):
            known = [value.storage.crc32 if isinstance(value, TensorRef) else None for value in values]
            if any(crc != known[0] for crc in known) or any(
                getattr(value, "shape", None) != first.shape for value in values
            ):
                self.different.append(name)
        return first

    def _differ(self, name: str) -> FormatError:
        return FormatError(
            f"Not all ranks' files have {name[:200]!r}.",
            where=str(self.folder),
            maybe="files of different checkpoints, or of a pipeline whose ranks hold different layers, lie together",
        )

    def _tensor(self, shards: list[CompositeTensor], name: str) -> Any:
        first = shards[0]
        problem = next((shard for shard in shards if shard.layout == LAYOUT and "problem" in shard.attributes), None)
        if problem is not None:
            return problem
        pieces: dict[Start, Piece] = {}
        for shard in shards:
            if shard.layout != LAYOUT or shard.shape != first.shape:
                raise self._differ(name)
            for start, part in self._parts(shard, name):
                if part.numel:
                    pieces.setdefault(start, part)  # the same of every replica
        return put_together(name, first.shape, list(pieces.items()), str(self.folder), first)

    def _parts(self, shard: CompositeTensor, name: str) -> Iterator[Part]:
        """The parts of a tensor that one rank holds, and where each begins."""
        if "starts" in shard.attributes:
            yield from zip(shard.attributes["starts"], shard.parts.values(), strict=True)
            return
        local, coordinate = shard.parts["local"], shard.attributes["coordinate"]
        start, size = [0] * len(shard.shape), list(shard.shape)
        for axis, at, count in zip(shard.attributes["shards"], coordinate, self.sizes[len(coordinate)], strict=True):
            if axis is not None:
                whole = size[axis]
                chunk = math.ceil(whole / count)
                begin = min(whole, chunk * at)
                start[axis], size[axis] = start[axis] + begin, min(chunk, whole - begin)
        if tuple(size) != local.shape:
            raise FormatError(
                f"A part of {name[:200]!r} has the shape {list(local.shape)}, where its place in the mesh has {size}.",
                where=str(self.folder),
                maybe="files of some ranks are missing",
            )
        yield tuple(start), local


def put_together(
    name: str, shape: tuple[int, ...], pieces: list[tuple[Start, Any]], where: str, like: CompositeTensor | None = None
) -> TensorRef:
    """A tensor of pieces that tile it, each with the index at which it starts.

    Raises:
        FormatError: they overlap or leave holes.
    """
    if 0 not in shape or not pieces:
        check_cover(name, shape, pieces, where)
    dtype = pieces[0][1].dtype
    whole = Storage(name, math.prod(shape) * dtype.itemsize, pieces[0][1].storage.file)
    flags = (False, False) if like is None else (like.requires_grad, like.is_parameter)
    return PiecedTensor(dtype, shape, contiguous_stride(shape), 0, whole, *flags, pieces=pieces)
