"""Nested values: their tensors in PyTorch's order, and which of them is which of the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def leaves(value: Any) -> Iterator[Any]:
    """The parts of nested lists, tuples and dicts, in PyTorch's order; what is no tensor counts too."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested value with other leaves."""
    if isinstance(value, dict):
        return type(value)({key: replaced(item, change) for key, item in value.items()})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replaced(item, change) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(replaced(item, change) for item in value)
    return change(value)


def nearest(found: Sequence[Array], recorded: Sequence[Array]) -> list[int | None]:
    """For each array found, which of the recorded ones it is: the nearest of its shape; None where there is none.

    A converted module gets and gives only what is used, and so not always all that the original's does.

        >>> a, b = np.zeros(2), np.ones(2)
        >>> nearest([b + 0.1], [a, b, np.zeros(3)])
        [1]
    """
    pairs = [
        (_distance(one, other), number, index)
        for number, one in enumerate(found)
        for index, other in enumerate(recorded)
        if _comparable(one, other)
    ]
    chosen: list[int | None] = [None] * len(found)
    for _, number, index in sorted(pairs):  # the nearest pair first: what has no counterpart is left over
        if chosen[number] is None and index not in chosen:
            chosen[number] = index
    if len(found) == len(recorded) == 1:
        return [0]  # Another shape is a fault then, and not another tensor.
    return chosen


def _comparable(one: Array, other: Array) -> bool:
    return one.shape == other.shape and (one.dtype.kind == "f") == (other.dtype.kind == "f")


def _distance(one: Array, other: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.nan_to_num(np.abs(one.astype(np.float64) - other.astype(np.float64))).mean()) if one.size else 0
