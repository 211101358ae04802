"""A tensor put together of blocks that lie in several places, and read block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

from torch2flow.checkpoints.dtypes import numpy_dtype
from torch2flow.checkpoints.pytorch.tensor import CHUNK, TensorRef, contiguous_stride, in_memory, split_rows
from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

MAX_CUTS = 6  # dimensions along which one tensor is cut: a device mesh has as many at most


class Piece(Protocol):
    """A block of a tensor. Its file may be opened only when a part of the block is asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> TensorRef:
        """The block between two corners of this one."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class PiecedTensor(TensorRef):
    """A dense tensor whose blocks lie in several places.

    Attributes:
        pieces: each block and the index at which it starts, one number a dimension.
    """

    pieces: Sequence[tuple[tuple[int, ...], Piece]] = ()

    @property
    def is_plain(self) -> bool:
        """Always False: the bytes have to be put together."""
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
                stop = () if axis == len(self.shape) else (min(start + rows, self.shape[axis]), *self.shape[axis + 1 :])
                begin = () if axis == len(self.shape) else (start, *(0,) * (len(self.shape) - axis - 1))
                yield self._region((*index, *begin), (*behind, *stop)).reshape(-1)

    def region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> PiecedTensor:
        """The block between two corners, made of the part that each piece has of it."""
        shape = tuple(b - a for a, b in zip(start, stop, strict=True))
        pieces = [
            (tuple(a - s for a, s in zip(low, start, strict=True)), part) for low, part in self._parts(start, stop)
        ]
        return replace(self, shape=shape, stride=contiguous_stride(shape), pieces=pieces)

    def seen(self, shape: tuple[int, ...], stride: tuple[int, ...]) -> TensorRef:
        """The elements with another shape and other strides, of a copy, since no single block has all of them."""
        import numpy as np

        return in_memory(np.ascontiguousarray(self.numpy()), self.dtype).seen(shape, stride)

    def _region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """The block between two corners, copied from every piece that meets it."""
        import numpy as np

        block = np.empty([b - a for a, b in zip(start, stop, strict=True)], numpy_dtype(self.dtype))
        for low, part in self._parts(start, stop):
            target = tuple(slice(a - s, a - s + n) for a, s, n in zip(low, start, part.shape, strict=True))
            block[target] = part.numpy()
        return block

    def _parts(self, start: tuple[int, ...], stop: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], TensorRef]]:
        """Yields, for each piece, its part between two corners and the index at which that part begins."""
        for at, piece in self.pieces:
            low = tuple(max(a, p) for a, p in zip(start, at, strict=True))
            high = tuple(min(b, p + n) for b, p, n in zip(stop, at, piece.shape, strict=True))
            if all(a < b for a, b in zip(low, high, strict=True)):
                corners = [tuple(x - p for x, p in zip(corner, at, strict=True)) for corner in (low, high)]
                yield low, piece.region(corners[0], corners[1])


def check_cover(name: str, shape: tuple[int, ...], pieces: list[tuple[tuple[int, ...], TensorRef]], where: str) -> None:
    """Refuses pieces that do not tile the tensor.

    A box is the signed sum of its corners, so boxes tile a box exactly when their corners add up to its own:
    linear in the pieces, where comparing each with each is not. Only dimensions that are cut count.
    """
    cut = [axis for axis, n in enumerate(shape) if any(piece.shape[axis] != n for _, piece in pieces)]
    corners: Counter[tuple[int, ...]] = Counter()
    whole = ((0,) * len(shape), shape, -1)
    for at, size, sign in (whole, *((at, piece.shape, 1) for at, piece in pieces)):
        if 0 not in size and len(cut) <= MAX_CUTS:
            for ends in product((0, 1), repeat=len(cut)):
                corner = tuple(at[axis] + end * size[axis] for axis, end in zip(cut, ends, strict=True))
                corners[corner] += sign * (-1) ** sum(ends)
    if any(corners.values()) or len(cut) > MAX_CUTS or not pieces or len({piece.dtype.name for _, piece in pieces}) > 1:
        raise FormatError(
            f"The pieces of {name[:200]!r} overlap or leave holes.",
            where=where,
            maybe="some ranks' files are missing, or come from another checkpoint",
        )
