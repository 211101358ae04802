"""Fills global tensors: each rank reads its own blocks from the file. A vote keeps ranks from hanging."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

from torch2flow.checkpoints.pytorch import TensorRef
from torch2flow.checkpoints.sharding.placement import layout_of
from torch2flow.errors import FormatError
from torch2flow.runtime.loading.filling import IncomingTensor


def own_part(tensor: Any) -> Any:
    """The live tensor, or the local block of a global tensor, which is the same memory."""
    return tensor.to_local() if tensor.is_global else tensor


def own_piece(flow: Any, tensor: Any, piece: IncomingTensor) -> IncomingTensor | None:
    """The piece, or the block of it that this rank holds; None if it holds none."""
    if not tensor.is_global:
        return piece
    block = layout_of(tensor).block(piece.shape, flow.env.get_rank())
    if block is None:
        return None
    assert isinstance(piece.tensor, TensorRef)  # others were refused: they fit no tensor of OneFlow's
    shape = tuple(b - a for a, b in zip(*block, strict=True))
    return IncomingTensor(piece.tensor.region(*block), piece.dtype, shape, piece.change)


def unsplittable(tensor: Any) -> str:
    """Why a global tensor can't be filled rank by rank; "" where it can."""
    partial = [str(sbp) for sbp in tensor.sbp if "partial" in str(sbp)]
    return f"a global tensor that is a sum of its parts ({', '.join(partial)})" if partial else ""


def grown(tensor: Any, shape: tuple[int, ...]) -> str:
    """The likely reason why a shape of the model is a multiple of the checkpoint's; "" if it is none."""
    if not tensor.is_global or len(shape) != tensor.ndim or tuple(tensor.shape) == shape:
        return ""
    if any(size and (large % size or large < size) for large, size in zip(tensor.shape, shape, strict=True)):
        return ""
    return ": Module.to_global with split takes whole tensors for parts; torch2flow.to_global(model, plan) does not"


@contextlib.contextmanager
def together(flow: Any, model: Any) -> Iterator[None]:
    """A context in which an error of one rank becomes an error of all. Otherwise the others would wait without end.

    Args:
        flow: the module `oneflow`.
        model: if it holds global tensors, all ranks are expected here.

    Raises:
        FormatError: on the ranks where nothing failed.
    """
    tensors = itertools.chain(model.parameters(), model.buffers())
    if flow.env.get_world_size() == 1 or not any(tensor.is_global for tensor in tensors):
        yield
        return
    with vote(flow, "load this checkpoint", "the model is partly loaded"):
        yield


@contextlib.contextmanager
def vote(flow: Any, what: str, maybe: str = "") -> Iterator[None]:
    """Like `together`, for code that all ranks are known to reach.

    Raises:
        FormatError: on the ranks where nothing failed.
    """
    try:
        yield
    except Exception:
        _failures(flow, 1)
        raise
    count = _failures(flow, 0)
    if count:
        raise FormatError(
            f"{count} of {flow.env.get_world_size()} ranks could not {what}; this one could.",
            where=f"rank {flow.env.get_rank()}",
            maybe=maybe,
            remedy="the other ranks say why",
        )


def _failures(flow: Any, mine: int) -> int:
    everyone = flow.placement("cpu", list(range(flow.env.get_world_size())))
    counts = flow.tensor([mine]).to_global(placement=everyone, sbp=flow.sbp.partial_sum)
    return int(counts.to_global(sbp=flow.sbp.broadcast).to_local().item())


def agree(flow: Any, number: int, what: str) -> None:
    """Refuses to go on if the ranks have different numbers, because they would mix up their tensors.

    Args:
        flow: the module `oneflow`.
        number: below 2**63, the same on every rank.
        what: is wrong otherwise.

    Raises:
        FormatError: on all ranks, if any two differ.
    """
    world = flow.env.get_world_size()
    everyone = flow.placement("cpu", list(range(world)))
    numbers = flow.tensor([number], dtype=flow.int64).to_global(placement=everyone, sbp=flow.sbp.split(0))
    found = numbers.to_global(sbp=flow.sbp.broadcast).to_local().numpy().tolist()
    if len(set(found)) > 1:
        others = [rank for rank, other in enumerate(found) if other != number]
        raise FormatError(what, where=f"rank {flow.env.get_rank()} differs from {', '.join(map(str, others[:8]))}")
