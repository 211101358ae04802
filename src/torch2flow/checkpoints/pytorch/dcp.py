"""`torch.distributed.checkpoint` folders: `.metadata` says where each piece of each tensor lies.

    .metadata        pickle of Metadata(state_dict_metadata, planner_data, storage_data)
    __0_0.distcp     pieces, one after the other; each is a complete file of torch.save

Follows `torch/distributed/checkpoint/{metadata,filesystem,planner_helpers}.py` (2.1 to 2.13).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.pickles import Opaque, label
from torch2flow.checkpoints.pytorch.archive import open_bytes_range
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.legacy import load_pickle_at
from torch2flow.checkpoints.pytorch.pieced_tensor import PiecedTensor, check_cover
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import MAX_DIMENSIONS, Storage, TensorRef, check_shape, contiguous_stride
from torch2flow.checkpoints.pytorch.tree import MAX_DEPTH
from torch2flow.errors import FormatError

METADATA = ".metadata"
OWN_CLASSES = ("torch.distributed.", "pathlib.")
"""What the metadata itself consists of."""


def open_dcp(folder: Path) -> Container:
    """A folder of `torch.distributed.checkpoint.save`, whatever number of ranks wrote it.

    Raises:
        FormatError: the metadata is damaged, or pieces are missing, overlap or leave holes.
    """
    index = SourceFile(folder / METADATA)
    metadata, machine = load_pickle_at(index, 0, index.size, where=str(index.path))
    described = _field(metadata, "state_dict_metadata", dict)
    places = _field(metadata, "storage_data", dict)
    paths = metadata.attribute("planner_data")
    if paths is not None and not isinstance(paths, dict):
        raise _damaged("its planner_data is no dictionary")
    reader = _Pieces(folder, places)
    root = _Node()
    for name, entry in described.items():
        if not isinstance(name, str) or not isinstance(entry, Opaque):
            raise _damaged("it describes something that is no tensor and no object")
        chunks = entry.attribute("chunks")
        value = reader.tensor(name, entry, chunks) if isinstance(chunks, list) else reader.object(name)
        _place(root, _path(name, (paths or {}).get(name)), value)
    unused = [path.name for path in folder.glob("*.distcp") if path.name not in reader.files]
    return Container(
        "dcp",
        _lists(root),
        [index, *reader.files.values()],
        f"torch.distributed.checkpoint, {len(reader.files)} files",
        opaque={
            **{name: n for name, n in machine.opaque.items() if not name.startswith(OWN_CLASSES)},
            **reader.opaque,
        },
        notes=[f"{len(unused)} .distcp files are not named in .metadata and were ignored"] if unused else [],
    )


class _Pieces:
    """Finds the pieces of each tensor by `(name, offset)`."""

    def __init__(self, folder: Path, places: dict[Any, Any]) -> None:
        self.folder = folder
        self.opaque: dict[str, int] = {}
        self.files: dict[str, SourceFile] = {}
        self.places: dict[tuple[str, tuple[int, ...] | None], Opaque] = {}
        self.loaded: dict[tuple[str, int, int], Any] = {}
        for index, info in places.items():
            offset = index.attribute("offset") if isinstance(index, Opaque) else None
            name = index.attribute("fqn") if isinstance(index, Opaque) else None
            if not isinstance(name, str) or not isinstance(info, Opaque):
                raise FormatError("The metadata places something that has no name.", where=str(folder / METADATA))
            self.places[name, None if offset is None else _numbers(offset, name, "offset")] = info

    def _load(self, name: str, offset: tuple[int, ...] | None) -> Any:
        info = self.places.get((name, offset))
        if info is None:
            raise FormatError(f"A piece of {name[:200]!r} is missing.", where=f"{self.folder}, offset {offset}")
        path, start, length = (info.attribute(part) for part in ("relative_path", "offset", "length"))
        bare = isinstance(path, str) and len(path) < 256 and not {"/", "\\"}.intersection(path)
        if not isinstance(path, str) or not bare or path in ("", ".", ".."):
            raise FormatError(
                f"A piece of {name[:200]!r} lies in {label(path)[:100]!r}, which is no bare file name.",
                where=str(self.folder / METADATA),
                maybe="it was made to read files outside its folder",
            )
        if path not in self.files:
            self.files[path] = SourceFile(self.folder / path)
        file = self.files[path]
        if not (type(start) is int and type(length) is int and 0 <= start <= start + length <= file.size):
            raise FormatError(f"A piece of {name[:200]!r} reaches outside its file.", where=str(file.path))
        if (path, start, length) not in self.loaded:
            self.loaded[path, start, length] = open_bytes_range(file, start, length, self.opaque)
        return self.loaded[path, start, length]

    def object(self, name: str) -> Any:
        """A value that is no tensor."""
        return self._load(name, None)

    def tensor(self, name: str, entry: Opaque, chunks: list[Any]) -> TensorRef:
        """A tensor: the one piece that is all of it, or all pieces."""
        shape = _numbers(entry.attribute("size"), name, "shape")
        check_shape(shape)
        pieces: list[tuple[tuple[int, ...], TensorRef]] = []
        for chunk in chunks:
            offsets, sizes = (
                chunk.attribute(part) if isinstance(chunk, Opaque) else None for part in ("offsets", "sizes")
            )
            at, size = _numbers(offsets, name, "shape"), _numbers(sizes, name, "shape")
            piece = self._load(name, at)
            if not isinstance(piece, TensorRef) or piece.shape != size or len(at) != len(shape):
                raise FormatError(
                    f"A piece of {name[:200]!r} has not the shape its metadata states.",
                    where=str(self.folder),
                )
            if any(a < 0 or a + n > whole for a, n, whole in zip(at, size, shape, strict=True)):
                raise FormatError(f"A piece of {name[:200]!r} lies outside the tensor.", where=str(self.folder))
            pieces.append((at, piece))
        if len(pieces) == 1 and pieces[0][1].shape == shape:
            return pieces[0][1]
        check_cover(name, shape, pieces, str(self.folder))
        dtype = pieces[0][1].dtype
        whole = Storage(name, math.prod(shape) * dtype.itemsize, pieces[0][1].storage.file)
        return PiecedTensor(dtype, shape, contiguous_stride(shape), 0, whole, pieces[0][1].requires_grad, pieces=pieces)


def _damaged(reason: str) -> FormatError:
    return FormatError(
        f"The metadata of the distributed checkpoint is damaged: {reason}.",
        where=METADATA,
        maybe="it was written by a PyTorch that torch2flow does not know, or is hostile",
    )


def _numbers(value: Any, name: str, what: str) -> tuple[int, ...]:
    """A `torch.Size` of the metadata."""
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS:
        raise _damaged(f"a piece of {name[:100]!r} has no {what}")
    if not all(type(number) is int for number in value):
        raise _damaged(f"a piece of {name[:100]!r} has a {what} of something other than integers")
    return tuple(value)


def _path(name: str, path: Any) -> tuple[Any, ...]:
    """Where the planner found an entry before it flattened the tree."""
    if path is None:
        return (name,)
    sound = isinstance(path, tuple) and 0 < len(path) <= MAX_DEPTH
    if not sound or not all(isinstance(part, str | int) for part in path):
        raise _damaged(f"its planner_data has no path for {name[:100]!r}")
    return tuple(path)


def _field(record: Any, name: str, kind: type) -> Any:
    value = record.attribute(name) if isinstance(record, Opaque) else None
    if not isinstance(value, kind):
        raise FormatError(
            f"The metadata has no {name}.",
            where=METADATA,
            maybe="it was written by a PyTorch before 2.1 or after this torch2flow",
        )
    return value


class _Node(dict[Any, Any]):
    """A level of the tree that the planner flattened. It is no entry of the checkpoint."""


def _place(root: _Node, path: tuple[Any, ...], value: Any) -> None:
    node = root
    for part in path[:-1]:
        node = node.setdefault(part, _Node())
        if not isinstance(node, _Node):
            raise _damaged("it puts one entry inside another")
    if path[-1] in node:
        raise _damaged("it puts two entries at one place")
    node[path[-1]] = value


def _lists(node: Any) -> Any:
    """Makes lists again of dictionaries whose keys are 0, 1, 2, ...: the planner had flattened them."""
    if not isinstance(node, _Node):
        return node
    members = {key: _lists(value) for key, value in node.items()}
    if members and all(type(key) is int for key in members) and sorted(members) == list(range(len(members))):
        return [members[index] for index in range(len(members))]
    return members
