"""Which part of a tensor a rank holds, and how it is read alone: global tensors without any collective.

OneFlow splits in balance: of 5 rows on 2 ranks the first has 3. A tensor that is split along several dimensions of a
placement is split by the first, and each part by the next (`oneflow/core/framework/nd_sbp.cpp`, 0.9.0; measured against
its own shards on 2 and 4 ranks).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from torch2flow.errors import FormatError
from torch2flow.loading.filling import Piece
from torch2flow.pytorch import TensorRef

Corner = tuple[int, ...]


def own_part(tensor: Any) -> Any:
    """A live tensor, or of a global one what this rank holds: the same memory."""
    return tensor.to_local() if tensor.is_global else tensor


def own_piece(flow: Any, tensor: Any, piece: Piece) -> Piece | None:
    """What goes into `own_part`: the piece, or the block of it that this rank holds; None where it holds none."""
    if not tensor.is_global:
        return piece
    place = place_of(tensor.placement.ranks.tolist(), flow.env.get_rank())
    if place is None:
        return None
    axes = [axis_of(sbp) for sbp in tensor.sbp]
    start, stop = box(piece.shape, axes, tensor.placement.ranks.shape, place)
    assert isinstance(piece.tensor, TensorRef)  # others were refused: they fit no tensor of OneFlow's
    return Piece(piece.tensor.region(start, stop), piece.dtype, _sizes(start, stop), piece.change)


def unsplittable(tensor: Any) -> str:
    """Why a global tensor can't be filled rank by rank; "" where it can."""
    partial = [str(sbp) for sbp in tensor.sbp if "partial" in str(sbp)]
    return f"a global tensor that is a sum of its parts ({', '.join(partial)})" if partial else ""


@contextlib.contextmanager
def together(flow: Any, model: Any) -> Iterator[None]:
    """What fails on one rank fails on all: else the others would wait for it without end, in the next collective.

    Raises:
        FormatError: on the ranks where nothing failed.
    """
    tensors = itertools.chain(model.parameters(), model.buffers())
    if flow.env.get_world_size() == 1 or not any(tensor.is_global for tensor in tensors):
        yield
        return
    try:
        yield
    except Exception:
        _failures(flow, 1)
        raise
    count = _failures(flow, 0)
    if count:
        raise FormatError(
            f"{count} of {flow.env.get_world_size()} ranks could not load this checkpoint; this one could.",
            where=f"rank {flow.env.get_rank()}",
            maybe="the model is partly loaded",
            remedy="the other ranks say why",
        )


def _failures(flow: Any, mine: int) -> int:
    everyone = flow.placement("cpu", list(range(flow.env.get_world_size())))
    counts = flow.tensor([mine]).to_global(placement=everyone, sbp=flow.sbp.partial_sum)
    return int(counts.to_global(sbp=flow.sbp.broadcast).to_local().item())


def axis_of(sbp: Any) -> int | None:
    """The dimension that one SBP splits; None for broadcast."""
    text = str(sbp)  # oneflow.sbp.split(dim=0)
    return int(text.rpartition("=")[2].rstrip(")")) if "split" in text else None


def box(
    shape: Corner, axes: Sequence[int | None], counts: Sequence[int], place: Sequence[int]
) -> tuple[Corner, Corner]:
    """The two corners of the block that a rank holds.

    Args:
        shape: of the whole tensor.
        axes: for each dimension of the placement, the dimension of the tensor it splits, or None.
        counts: ranks along each dimension of the placement.
        place: of this rank in it.

    Example:
        >>> box((5, 4), [0], [2], [1])
        ((3, 0), (5, 4))
    """
    start, stop = [0] * len(shape), list(shape)
    for axis, count, index in zip(axes, counts, place, strict=True):
        if axis is None:
            continue
        each, more = divmod(stop[axis] - start[axis], count)
        first = start[axis] + index * each + min(index, more)
        start[axis], stop[axis] = first, first + each + (index < more)
    return tuple(start), tuple(stop)


def place_of(ranks: Any, rank: int) -> list[int] | None:
    """Where a rank is in nested lists of ranks; None where it is not."""
    for index, item in enumerate(ranks):
        if item == rank:
            return [index]
        if isinstance(item, list) and (rest := place_of(item, rank)) is not None:
            return [index, *rest]
    return None


def _sizes(start: Corner, stop: Corner) -> Corner:
    return tuple(b - a for a, b in zip(start, stop, strict=True))
