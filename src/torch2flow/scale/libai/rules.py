"""How a weight of LiBai's is put together from those of PyTorch's transformers, and taken apart again.

A rule is data: the name on LiBai's side, one or more on PyTorch's, and one of `LAYOUTS`. Everything stays lazy: what
comes out is a tensor made of blocks of the source's, so that a rank that asks for its part reads only that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch2flow.checkpoints.pytorch import Storage, TensorRef
from torch2flow.checkpoints.pytorch.pieced_tensor import Piece, PiecedTensor
from torch2flow.checkpoints.pytorch.tensor import contiguous_stride, reshaped
from torch2flow.errors import UsageError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeightRule:
    """One weight on LiBai's side.

    Attributes:
        libai: template of its name, as in `names/templates.py`.
        torch: templates of the names on PyTorch's side.
        layout: a key of `LAYOUTS`.
    """

    libai: str
    torch: tuple[str, ...]
    layout: str = ""


@dataclass(frozen=True, slots=True)
class WeightLayout:
    """How a weight of LiBai is made of those of transformers.

    Attributes:
        parts: tensors that are one on LiBai's side, one after the other along the first dimension.
        heads: rows are ordered (part, head, size) in PyTorch and (head, part, size) in LiBai.
        turned: a matrix is (inputs, outputs) in PyTorch and (outputs, inputs) in LiBai.
        padded: LiBai's has further rows, of zeros.
        batched: LiBai's has a dimension of one more in front, for the batch.
    """

    parts: int = 1
    heads: bool = False
    turned: bool = False
    padded: bool = False
    batched: bool = False


LAYOUTS: dict[str, WeightLayout] = {
    "": WeightLayout(),
    "turned": WeightLayout(turned=True),
    "heads": WeightLayout(parts=3, heads=True),
    "heads, turned": WeightLayout(parts=3, heads=True, turned=True),
    "heads of two": WeightLayout(parts=2, heads=True),
    "one below the other": WeightLayout(parts=3),
    "vocabulary": WeightLayout(padded=True),
    "for a batch": WeightLayout(batched=True),
}
"""`_fix_qkv_ordering` of LiBai's `base_loader.py` says how heads are ordered; `attention.py` how they are used."""


def fused(sources: Sequence[TensorRef], layout: WeightLayout, heads: int, rows: int | None) -> TensorRef:
    """Puts one weight of LiBai together from weights of transformers.

    Args:
        sources: as many as the rule has names.
        layout: how they are put together.
        heads: attention heads.
        rows: of the vocabulary on LiBai's side; None for as many as there are.

    Raises:
        UsageError: the shapes do not allow it.
    """
    if len({source.shape for source in sources}) > 1:
        # Of 32 heads and 8 of keys, the rows would divide all the same: into a wrong order.
        shapes = ", ".join(str([*source.shape]) for source in sources)
        raise UsageError(f"Weights of the shapes {shapes} can't be one: LiBai has as many key heads as heads.")
    whole = stacked([transposed(each) for each in sources] if layout.turned else list(sources))
    if layout.heads:
        return _reordered(whole, layout.parts, heads)
    if layout.batched:
        return _shaped(whole, (1, *whole.shape))
    return _padded(whole, rows) if layout.padded and rows is not None else whole


def parted(source: TensorRef, layout: WeightLayout, count: int, heads: int, rows: int | None) -> list[TensorRef]:
    """The reverse of `fused`: PyTorch's weights, `count` of them.

    Raises:
        UsageError: the shape does not allow it.
    """
    there = source.shape[0] if source.shape else 0
    if layout.batched:
        if there != 1:
            raise UsageError(f"A weight of the shape {[*source.shape]} has no dimension of one in front.")
        return [_shaped(source, source.shape[1:])]
    if layout.heads:
        source = _reordered(source, heads, layout.parts)
    if layout.padded and rows is not None:
        if there < rows:
            raise UsageError(f"A vocabulary of {rows} can't be cut from {there} rows.")
        source = source.region((0,) * len(source.shape), (rows, *source.shape[1:]))
    each, left = divmod(there, count)
    if left:
        raise UsageError(f"{there} rows can't be {count} weights.")
    found = [source] if count == 1 else [_rows(source, at * each, (at + 1) * each) for at in range(count)]
    return [transposed(part) for part in found] if layout.turned else found


def stacked(tensors: list[TensorRef]) -> TensorRef:
    """Tensors one below the other.

    Raises:
        UsageError: they differ in more than their rows.
    """
    if len(tensors) == 1:
        return tensors[0]
    if len({(tensor.shape[1:], tensor.dtype.name) for tensor in tensors}) > 1 or not tensors[0].shape:
        shapes = ", ".join(str([*tensor.shape]) for tensor in tensors)
        raise UsageError(f"Weights of the shapes {shapes} can't be put one below the other.")
    rows = sum(tensor.shape[0] for tensor in tensors)
    pieces, at = [], 0
    for tensor in tensors:
        pieces.append(((at, *(0,) * (len(tensor.shape) - 1)), tensor))
        at += tensor.shape[0]
    return _pieced(tensors[0], (rows, *tensors[0].shape[1:]), pieces)


def transposed(tensor: TensorRef) -> TensorRef:
    """A matrix with its dimensions exchanged; anything else as it is."""
    if len(tensor.shape) != 2:
        return tensor
    shape = (tensor.shape[1], tensor.shape[0])
    if isinstance(tensor, PiecedTensor):
        return _pieced(tensor, shape, [((at[1], at[0]), _Turned(piece)) for at, piece in tensor.pieces])
    return tensor.seen(shape, (tensor.stride[1], tensor.stride[0]))


@dataclass(frozen=True, slots=True)
class _Turned:
    """A block with its dimensions exchanged. It is read only when a part of it is asked for."""

    piece: Piece

    @property
    def shape(self) -> Shape:
        return (self.piece.shape[1], self.piece.shape[0])

    def region(self, start: Shape, stop: Shape) -> TensorRef:
        return transposed(self.piece.region((start[1], start[0]), (stop[1], stop[0])))


def _shaped(tensor: TensorRef, shape: Shape) -> TensorRef:
    found = reshaped(tensor, shape)
    assert isinstance(found, TensorRef)
    return found


def _reordered(tensor: TensorRef, outer: int, inner: int) -> TensorRef:
    """Reorders rows from (outer, inner, size) to (inner, outer, size).

    Raises:
        UsageError: the rows do not divide so.
    """
    rows = tensor.shape[0] if tensor.shape else 0
    if not rows or rows % (outer * inner):
        raise UsageError(f"{rows} rows can't be {outer} times {inner} blocks.")
    size = rows // (outer * inner)
    rest = (0,) * (len(tensor.shape) - 1)
    pieces = [
        (((second * outer + first) * size, *rest), _rows(tensor, (first * inner + second) * size, size=size))
        for second in range(inner)
        for first in range(outer)
    ]
    return _pieced(tensor, tensor.shape, pieces)


def _padded(tensor: TensorRef, rows: int) -> TensorRef:
    """Appends rows of zeros, up to `rows` rows in all.

    Raises:
        UsageError: it has more already.
    """
    if not tensor.shape or tensor.shape[0] > rows:
        found = tensor.shape[0] if tensor.shape else "no rows"
        raise UsageError(f"A vocabulary of {found} does not fit into {rows} rows.")
    missing = (rows - tensor.shape[0], *tensor.shape[1:])
    if not missing[0]:
        return tensor
    # One zero, seen as often as it takes.
    zero = Storage("zeros", tensor.dtype.itemsize, data=bytes(tensor.dtype.itemsize))
    zeros = TensorRef(tensor.dtype, missing, (0,) * len(missing), 0, zero)
    return stacked([tensor, zeros])


def _rows(tensor: TensorRef, start: int, stop: int = 0, size: int = 0) -> TensorRef:
    rest = tensor.shape[1:]
    return tensor.region((start, *(0,) * len(rest)), (stop or start + size, *rest))


def _pieced(like: TensorRef, shape: Shape, pieces: Sequence[tuple[Shape, Piece]]) -> PiecedTensor:
    storage = Storage(like.storage.key, math.prod(shape) * like.dtype.itemsize)
    return PiecedTensor(
        like.dtype, shape, contiguous_stride(shape), 0, storage, like.requires_grad, like.is_parameter, pieces=pieces
    )
