"""Matches arrays with the recorded ones: which is which, and in which order their rows came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def nearest(found: Sequence[Array], recorded: Sequence[Array]) -> list[int | None]:
    """For each array found, which of the recorded ones it is: the nearest of its shape; None where there is none.

    A converted module gets and gives only what is used, and so not always all that the original's does.

        >>> a, b = np.zeros(2), np.ones(2)
        >>> nearest([b + 0.1], [a, b, np.zeros(3)])
        [1]
        >>> nearest([b, b, b], [a, b, b, np.zeros(3)])
        [1, 2, None]
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
    best = {number: (distance, index) for distance, number, index in sorted(pairs, reverse=True)}
    for number, taken in enumerate(chosen):
        if taken is None or len(found) == len(recorded):
            continue
        # One value that the original returns in several places, and the converted module in one more.
        distance, nearer = best[number]
        copies = sum(np.array_equal(one, recorded[nearer]) for one in recorded)
        if copies > 1 and taken != nearer and distance < 1e-3 * _distance(found[number], recorded[taken]):
            chosen[number] = None
    if len(found) == len(recorded) == 1:
        return [0]  # Another shape is a fault then, and not another tensor.
    return chosen


def row_order(found: Array, recorded: Array) -> Array | None:
    """Which row of `found` each recorded one is, where the same rows came in another order; else None.

    What sorts tokens by expert puts those of one expert in any order: PyTorch's sort of 2.6 and newer keeps none.

        >>> row_order(np.array([[3.0, 3.5], [1.0, 1.5]]), np.array([[1.0, 1.5], [3.0, 3.5]]))
        array([1, 0])
    """
    if found.shape != recorded.shape or found.ndim < 2 or found.dtype.kind != "f" or len(found) < 2:
        return None
    if np.array_equal(found, recorded):  # most of them, without a copy in float64
        return None
    rows, others = (array.reshape(len(array), -1).astype(np.float64) for array in (found, recorded))
    tolerance = 1e-3 * float(np.abs(others).max(initial=0.0))
    if not np.isfinite(rows).all() or not tolerance or np.abs(rows - others).max() <= tolerance:
        return None
    direction = np.random.default_rng(0).standard_normal(rows.shape[1])
    order = np.empty(len(rows), np.int64)
    order[np.argsort(others @ direction, kind="stable")] = np.argsort(rows @ direction, kind="stable")
    return order if np.abs(rows[order] - others).max() <= tolerance else None


def _comparable(one: Array, other: Array) -> bool:
    return one.shape == other.shape and (one.dtype.kind == "f") == (other.dtype.kind == "f")


def choice_order(found: Array, recorded: Array) -> Array | None:
    """The order along the last axis in which indices are the recorded ones, where the same were chosen; else None.

    An unsorted `topk` gives the same elements in any order.

        >>> choice_order(np.array([[5, 2, 7]]), np.array([[2, 7, 5]])).tolist()
        [[1, 2, 0]]
    """
    if found.dtype.kind != "i" or found.shape != recorded.shape or found.ndim < 2 or np.array_equal(found, recorded):
        return None
    mine, theirs = np.sort(found, -1), np.sort(recorded, -1)
    if not np.array_equal(mine, theirs) or (mine[..., 1:] == mine[..., :-1]).any():
        return None
    return np.take_along_axis(np.argsort(found, -1), np.argsort(np.argsort(recorded, -1), -1), -1)


def _distance(one: Array, other: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.nan_to_num(np.abs(one.astype(np.float64) - other.astype(np.float64))).mean()) if one.size else 0
