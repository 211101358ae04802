"""Runs of a flat vector as blocks of the tensor that it holds: what ZeRO and FSDP cut is no block by itself.

A tensor of shape 4 x 5 whose elements 3 to 16 lie in one file has there the end of its first row, two whole rows, and
the beginning of its last row: three blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from torch2flow.checkpoints.pytorch.tensor import TensorRef, contiguous_stride

Start = tuple[int, ...]


def blocks(shape: tuple[int, ...], first: int, last: int) -> Iterator[tuple[Start, tuple[int, ...]]]:
    """The blocks, each by its start and its shape, that elements `first` to `last` of a tensor are, in order."""
    if first >= last:
        return
    if not shape:
        yield (), ()
        return
    inner = math.prod(shape[1:])
    top, offset = divmod(first, inner)
    bottom, rest = divmod(last, inner)
    if offset and top == bottom:
        yield from _inside(shape, top, offset, rest)
        return
    if offset:
        yield from _inside(shape, top, offset, inner)
        top += 1
    if top < bottom:
        yield (top, *(0,) * (len(shape) - 1)), (bottom - top, *shape[1:])
    if rest:
        yield from _inside(shape, bottom, 0, rest)


def _inside(shape: tuple[int, ...], row: int, first: int, last: int) -> Iterator[tuple[Start, tuple[int, ...]]]:
    for start, size in blocks(shape[1:], first, last):
        yield (row, *start), (1, *size)


def pieces_of(shape: tuple[int, ...], runs: Iterator[TensorRef]) -> list[tuple[Start, TensorRef]]:
    """The pieces of a tensor that has the elements of the runs, one after the other; what is left over is padding."""
    pieces, at, end = [], 0, math.prod(shape)
    for run in runs:
        count, taken = min(run.numel, end - at), 0
        for start, size in blocks(shape, at, at + count):
            piece = replace(run, shape=size, stride=contiguous_stride(size), storage_offset=run.storage_offset + taken)
            pieces.append((start, piece))
            taken += math.prod(size)
        at += count
    return pieces
