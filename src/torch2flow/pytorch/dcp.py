"""`torch.distributed.checkpoint` folders: `.metadata` says where each piece of each tensor lies.

    .metadata        pickle of Metadata(state_dict_metadata, planner_data, storage_data)
    __0_0.distcp     pieces, one after the other; each is a complete file of torch.save

Follows `torch/distributed/checkpoint/{metadata,filesystem,planner_helpers}.py` (2.1 to 2.13).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.dtypes import numpy_dtype
from torch2flow.errors import FormatError
from torch2flow.pickles import Machine, Opaque
from torch2flow.pytorch.archive import open_bytes_range
from torch2flow.pytorch.constructors import CONSTRUCTORS
from torch2flow.pytorch.containers import Container
from torch2flow.pytorch.source import SourceFile
from torch2flow.pytorch.tensor import CHUNK, Storage, TensorRef, contiguous_stride, split_rows

if TYPE_CHECKING:
    import numpy as np

METADATA = ".metadata"


@dataclass(slots=True, eq=False, repr=False)
class PiecedTensor(TensorRef):
    """A dense tensor whose blocks lie in several places.

    Attributes:
        pieces: each block and the index at which it starts, one number a dimension.
    """

    pieces: list[tuple[tuple[int, ...], TensorRef]] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Never: its bytes have to be put together."""
        return False

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values, put together in memory."""
        return self._region((0,) * len(self.shape), self.shape)

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """The elements in C order as flat arrays of at most `CHUNK` bytes."""
        import numpy as np

        axis, rows = split_rows(self.shape, max(1, CHUNK // self.dtype.itemsize))
        for index in np.ndindex(*self.shape[:axis]):
            behind = tuple(i + 1 for i in index)
            for start in range(0, self.shape[axis], rows) if axis < len(self.shape) else (0,):
                stop = (
                    ()
                    if axis == len(self.shape)
                    else (min(start + rows, self.shape[axis]), *self.shape[axis + 1 :])
                )
                begin = () if axis == len(self.shape) else (start, *(0,) * (len(self.shape) - axis - 1))
                yield self._region((*index, *begin), (*behind, *stop)).reshape(-1)

    def _region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """The block between two corners, copied from every piece that meets it."""
        import numpy as np

        block = np.empty([b - a for a, b in zip(start, stop, strict=True)], numpy_dtype(self.dtype))
        for at, piece in self.pieces:
            low = [max(a, p) for a, p in zip(start, at, strict=True)]
            high = [min(b, p + n) for b, p, n in zip(stop, at, piece.shape, strict=True)]
            if all(a < b for a, b in zip(low, high, strict=True)):
                target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
                block[target] = piece.numpy()[
                    tuple(slice(a - p, b - p) for a, b, p in zip(low, high, at, strict=True))
                ]
        return block


def open_dcp(folder: Path) -> Container:
    """A folder of `torch.distributed.checkpoint.save`, whatever number of ranks wrote it.

    Raises:
        FormatError: the metadata is damaged, or pieces are missing, overlap or leave holes.
    """
    index = SourceFile(folder / METADATA)
    machine = Machine(index.read(0, index.size), constructors=CONSTRUCTORS, where=str(index.path))
    metadata = machine.load()
    described = _field(metadata, "state_dict_metadata", dict)
    places = _field(metadata, "storage_data", dict)
    paths = metadata.attribute("planner_data") or {}
    reader = _Pieces(folder, places)
    root: dict[Any, Any] = {}
    for name, entry in described.items():
        value = (
            reader.tensor(name, entry) if isinstance(entry.attribute("chunks"), list) else reader.object(name)
        )
        _place(root, paths.get(name) or (name,), value)
    _unused = [path.name for path in folder.glob("*.distcp") if path.name not in reader.files]
    return Container(
        "dcp",
        _lists(root),
        [index, *reader.files.values()],
        f"torch.distributed.checkpoint, {len(reader.files)} files",
        notes=[f"{len(_unused)} .distcp files are not named in .metadata and were ignored"]
        if _unused
        else [],
    )


class _Pieces:
    """Finds the pieces of each tensor by `(name, offset)`."""

    def __init__(self, folder: Path, places: dict[Any, Any]) -> None:
        self.folder = folder
        self.files: dict[str, SourceFile] = {}
        self.places: dict[tuple[str, tuple[int, ...] | None], Opaque] = {}
        for index, info in places.items():
            offset = index.attribute("offset") if isinstance(index, Opaque) else None
            name = index.attribute("fqn") if isinstance(index, Opaque) else None
            if not isinstance(name, str) or not isinstance(info, Opaque):
                raise FormatError(
                    "The metadata places something that has no name.", where=str(folder / METADATA)
                )
            self.places[name, None if offset is None else tuple(offset)] = info

    def _load(self, name: str, offset: tuple[int, ...] | None) -> Any:
        info = self.places.get((name, offset))
        if info is None:
            raise FormatError(
                f"A piece of {name[:200]!r} is missing.", where=f"{self.folder}, offset {offset}"
            )
        path, start, length = (info.attribute(part) for part in ("relative_path", "offset", "length"))
        if not isinstance(path, str) or "/" in path or "\\" in path or path in ("", ".", ".."):
            raise FormatError(
                f"A piece of {name[:200]!r} lies in {str(path)[:100]!r}, which is no bare file name.",
                where=str(self.folder / METADATA),
                maybe="it was made to read files outside its folder",
            )
        if path not in self.files:
            self.files[path] = SourceFile(self.folder / path)
        file = self.files[path]
        if not (type(start) is int and type(length) is int and 0 <= start <= start + length <= file.size):
            raise FormatError(f"A piece of {name[:200]!r} reaches outside its file.", where=str(file.path))
        return open_bytes_range(file, start, length)

    def object(self, name: str) -> Any:
        """A value that is no tensor."""
        return self._load(name, None)

    def tensor(self, name: str, entry: Opaque) -> TensorRef:
        """A tensor: the one piece that is all of it, or all pieces."""
        shape = tuple(entry.attribute("size") or ())
        pieces: list[tuple[tuple[int, ...], TensorRef]] = []
        for chunk in entry.attribute("chunks"):
            at, size = tuple(chunk.attribute("offsets")), tuple(chunk.attribute("sizes"))
            piece = self._load(name, at)
            if not isinstance(piece, TensorRef) or piece.shape != size or len(at) != len(shape):
                raise FormatError(
                    f"A piece of {name[:200]!r} has not the shape its metadata states.",
                    where=str(self.folder),
                )
            if any(a < 0 or a + n > whole for a, n, whole in zip(at, size, shape, strict=True)):
                raise FormatError(
                    f"A piece of {name[:200]!r} lies outside the tensor.", where=str(self.folder)
                )
            pieces.append((at, piece))
        if len(pieces) == 1 and pieces[0][1].shape == shape:
            return pieces[0][1]
        _check_cover(name, shape, pieces, self.folder)
        dtype = pieces[0][1].dtype
        whole = Storage(name, math.prod(shape) * dtype.itemsize, pieces[0][1].storage.file)
        return PiecedTensor(
            dtype, shape, contiguous_stride(shape), 0, whole, pieces[0][1].requires_grad, pieces=pieces
        )


def _check_cover(
    name: str, shape: tuple[int, ...], pieces: list[tuple[tuple[int, ...], TensorRef]], folder: Path
) -> None:
    """Pieces that do not overlap and are together as many elements as the tensor cover it."""
    total = sum(math.prod(piece.shape) for _, piece in pieces)
    boxes = sorted(
        (at, tuple(a + n for a, n in zip(at, piece.shape, strict=True)))
        for at, piece in pieces
        if piece.numel
    )
    overlap = any(
        all(max(a, c) < min(b, d) for a, b, c, d in zip(*one, *other, strict=True))
        for number, one in enumerate(boxes)
        for other in boxes[number + 1 :]
    )
    if (
        total != math.prod(shape)
        or overlap
        or not pieces
        or len({piece.dtype.name for _, piece in pieces}) > 1
    ):
        raise FormatError(
            f"The pieces of {name[:200]!r} overlap or leave holes.",
            where=str(folder),
            maybe="some ranks' files are missing, or come from another checkpoint",
        )


def _field(record: Any, name: str, kind: type) -> Any:
    value = record.attribute(name) if isinstance(record, Opaque) else None
    if not isinstance(value, kind):
        raise FormatError(
            f"The metadata has no {name}.",
            where=METADATA,
            maybe="it was written by a PyTorch before 2.1 or after this torch2flow",
        )
    return value


def _place(root: dict[Any, Any], path: tuple[Any, ...], value: Any) -> None:
    node = root
    for part in path[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise FormatError(
                "The metadata puts one entry inside another.", where=f"{METADATA}, {path!r}"[:200]
            )
    node[path[-1]] = value


def _lists(node: Any) -> Any:
    """Lists again where the keys are 0, 1, 2, ...: the planner flattened them into numbered keys."""
    if not isinstance(node, dict):
        return node
    members = {key: _lists(value) for key, value in node.items()}
    if members and all(type(key) is int for key in members) and sorted(members) == list(range(len(members))):
        return [members[index] for index in range(len(members))]
    return members
