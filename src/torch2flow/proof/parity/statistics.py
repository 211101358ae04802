"""Statistics of a difference: quantiles, ulps, cosine, decibels, and how often the largest element moved."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SAMPLE = 1 << 18
"""Of larger tensors, every n-th element is looked at for quantiles and histograms, so that about as many are."""

QUANTILES = (50, 90, 99)
EDGES = tuple(range(-18, 5))
"""The bins of a histogram: powers of ten of the absolute difference. What is smaller or equal is in the first."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the difference between OneFlow's result and PyTorch's.

    Attributes:
        quantiles: of the absolute distance from PyTorch's float64 result, in percent.
        ulp: the largest distance from PyTorch's float32 result, in float32 numbers between them.
        cosine: of the angle between OneFlow's result and PyTorch's float64 result.
        psnr: peak signal to noise, in decibels; infinite where they are equal.
        argmax: the share of rows whose largest element is in the same place, where the rows look like class scores.
        histogram: counts of distances by powers of ten, OneFlow's and of PyTorch's float32 itself.
    """

    quantiles: dict[str, float]
    ulp: float | None = None
    cosine: float | None = None
    psnr: float | None = None
    argmax: float | None = None
    histogram: dict[str, list[float]] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def statistics(found: Array, single: Array, exact: Array, *, histogram: bool = False) -> Statistics | None:
    """Of one floating array; None where there is nothing to say.

    Args:
        found: OneFlow's, of the same shape as the others.
        single: PyTorch's in its own precision.
        exact: PyTorch's in float64.
        histogram: make one.
    """
    if found.shape != single.shape or found.dtype.kind != "f" or not found.size:
        return None
    wide = [np.nan_to_num(each.astype(np.float64), posinf=0, neginf=0) for each in (found, single, exact)]
    distance = _sample(np.abs(wide[0] - wide[2]))
    noise = _sample(np.abs(wide[1] - wide[2]))
    return Statistics(
        {
            str(percent): float(value)
            for percent, value in zip(QUANTILES, np.percentile(distance, QUANTILES), strict=True)
        },
        _ulp(found, single),
        _cosine(wide[0], wide[2]),
        _psnr(wide[0], wide[2]),
        _argmax(wide[0], wide[2]),
        {"edges": [*map(float, EDGES)], "found": _counts(distance), "noise": _counts(noise)} if histogram else None,
    )


def _sample(values: Array) -> Array:
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLE)]


def _counts(distance: Array) -> list[float]:
    with np.errstate(divide="ignore"):
        powers = np.clip(np.log10(distance), EDGES[0], EDGES[-1])
    return [float(count) for count in np.histogram(powers, EDGES)[0]]


def _ulp(found: Array, single: Array) -> float | None:
    """The distance in units in the last place. IEEE floats are ordered like the integers of the same bits."""
    if found.dtype != np.float32 or single.dtype != np.float32:
        return None
    finite = np.isfinite(found) & np.isfinite(single)
    a, b = (each[finite].view(np.int32).astype(np.int64) for each in (found, single))
    a, b = (np.where(each < 0, -(each & 0x7FFFFFFF), each) for each in (a, b))
    return float(np.abs(a - b).max(initial=0))


def _cosine(found: Array, exact: Array) -> float | None:
    lengths = float(np.linalg.norm(found)) * float(np.linalg.norm(exact))
    return float(np.vdot(found, exact)) / lengths if lengths and math.isfinite(lengths) else None


def _psnr(found: Array, exact: Array) -> float | None:
    peak, mean = float(np.abs(exact).max()), float(((found - exact) ** 2).mean())
    if not peak:
        return None
    return 20 * math.log10(peak) - 10 * math.log10(mean) if mean else math.inf


def _argmax(found: Array, exact: Array) -> float | None:
    if found.ndim != 2 or found.shape[1] < 2:
        return None
    return float((found.argmax(1) == exact.argmax(1)).mean())
