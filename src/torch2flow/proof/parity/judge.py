"""The judge: does a difference come from rounding in float32, or do the two sides compute different things?

PyTorch's own float32 result lies some distance from its float64 result: the *noise*. Another faithful float32
implementation lies about as far from it (32 faithful conversions measured 0.66 to 2.44 times as far). So a result is
within noise up to `LIMIT` times that distance. Where it lies further away, or where the noise is so large that a fault
could hide in it, both sides are compared in float64, and must agree to `EXACT` of the largest value.

    >>> import numpy as np
    >>> exact = np.array([1.0, 2.0]); single = exact + 1e-7
    >>> measure(exact - 2e-7, exact, single).verdict
    'within noise'
    >>> measure(exact - 2e-3, exact, single).verdict
    'different'
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT = 3.0
"""How many times the noise a faithful result may lie from the float64 result."""

EXACT = 1e-9
"""How much two float64 runs of one model may differ, relative to the largest value."""

CLOSE = 1e-6
"""Two float64 runs that differ by less compute the same, but for a constant that one of them rounds to float32."""

FINER = 2.0**-29
"""How much finer float64 is than float32: what a model makes of rounding in one, it makes of it in the other."""

HIDING = 1e-4
"""Noise above this, relative to the largest value, could hide a fault."""

ROUNDING = 2.0**-24
"""Half the distance between float32 numbers at 1: no float32 result can be asked to be closer than that."""

VERDICTS = ("identical", "within noise", "elevated", "different")
"""From the best to the worst."""

FINE = VERDICTS[:2]
"""The verdicts that a faithful result can have."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How far a result lies from PyTorch's.

    Attributes:
        error: the largest distance from PyTorch's float64 result.
        noise: the same of PyTorch's own float32 result.
        scale: the largest absolute value of the float64 result.
        squares: the sums of squared distances, found and noise, from which `together` makes one measure of many.
        identical: every element is the very one of PyTorch's float32 result.
        fault: a difference that no noise explains: a shape, a dtype, an infinity; "" where there is none.
        double: the relative distance of both sides in float64; None where it was not measured.
        allowed: what that may be, where a known cause allows more than `EXACT`.
    """

    error: float
    noise: float
    scale: float
    squares: tuple[float, float] = (0.0, 0.0)
    identical: bool = False
    fault: str = ""
    double: float | None = None
    allowed: float = EXACT

    @property
    def ratio(self) -> float:
        """The error in units of the noise, or of the rounding of the largest value where that is more."""
        floor = max(self.noise, ROUNDING * self.scale)
        return self.error / floor if floor > 0 else (0.0 if self.error == 0 else math.inf)

    @property
    def relative(self) -> float:
        """The error relative to the largest value."""
        return self.error / self.scale if self.scale > 0 else self.error

    @property
    def doubtful(self) -> bool:
        """Whether only a comparison in float64 can tell: beyond noise, or with noise that could hide a fault."""
        return self.ratio > LIMIT or self.noise > HIDING * self.scale

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if self.fault:
            return "different"
        if self.identical:
            return "identical"
        if self.double is not None:
            # Where float32 is all noise, float64 has some too: as much smaller as it is finer.
            amplified = 10 * FINER * min(self.noise / self.scale, 1.0) if self.scale else 0.0
            agrees = self.double <= max(self.allowed, amplified)
            return "within noise" if agrees else "elevated" if self.double <= CLOSE else "different"
        return "within noise" if self.ratio <= LIMIT else "elevated" if self.ratio <= 10 * LIMIT else "different"


def measure(found: Any, exact: Any, single: Any) -> Measure:
    """Measures one array; integers and booleans as the numbers they are.

    Args:
        found: OneFlow's result.
        exact: PyTorch's in float64.
        single: PyTorch's in its own precision.
    """
    found, exact, single = np.asarray(found), np.asarray(exact), np.asarray(single)
    if found.shape != single.shape:
        return missing(f"shape {found.shape} instead of {single.shape}")
    if found.dtype.kind != single.dtype.kind:
        return missing(f"dtype {found.dtype} instead of {single.dtype}")
    finite = np.isfinite(single)
    if not np.array_equal(np.isfinite(found), finite) or not np.array_equal(
        found[~finite], single[~finite], equal_nan=True
    ):
        return missing("other elements are infinite or NaN")
    wide = [np.where(finite, array, 0).astype(np.float64) for array in (found, exact, single)]
    error, noise = np.abs(wide[0] - wide[1]), np.abs(wide[2] - wide[1])
    if not error.size:
        return Measure(0, 0, 0, identical=True)
    return Measure(
        float(error.max()),
        float(noise.max()),
        float(np.abs(wide[1]).max()),
        (float((error**2).sum()), float((noise**2).sum())),
        bool(np.array_equal(found, single, equal_nan=found.dtype.kind == "f")),
    )


def missing(fault: str) -> Measure:
    """The measure of a tensor that can't be compared, with the reason."""
    return Measure(math.inf, 0.0, 0.0, (math.inf, 0.0), fault=fault)


def together(measures: Iterable[Measure]) -> Measure:
    """One measure of many tensors, as if they were one vector: by the lengths of error and noise.

    A model has hundreds of gradients; the largest of their ratios says more of their number than of the model.
    """
    measures = list(measures)
    fault = next((each.fault for each in measures if each.fault), "")
    error, noise = (math.sqrt(sum(each.squares[side] for each in measures)) for side in (0, 1))
    scale = max((each.scale for each in measures), default=0.0)
    double = max((each.double for each in measures if each.double is not None), default=None)
    return Measure(error, noise, scale, (error**2, noise**2), all(each.identical for each in measures), fault, double)


def worst(verdicts: Iterable[str]) -> str:
    """The worst of some verdicts."""
    return max(verdicts, key=VERDICTS.index, default=VERDICTS[0])


def distance_in_float64(found: Any, exact: Any, scale: float = 0.0) -> float:
    """The relative distance of two float64 results; at most `EXACT` for a faithful one.

    Args:
        found: OneFlow's.
        exact: PyTorch's.
        scale: the distance is relative to the largest value or to this, whichever is more.
    """
    found, exact = np.asarray(found, np.float64), np.asarray(exact, np.float64)
    if found.shape != exact.shape:
        return math.inf
    finite = np.isfinite(exact)
    if not np.array_equal(np.isfinite(found), finite):
        return math.inf
    distance = float(np.abs(found[finite] - exact[finite]).max(initial=0.0))
    scale = max(float(np.abs(exact[finite]).max(initial=0.0)), scale)
    return distance / scale if scale > 0 else distance
