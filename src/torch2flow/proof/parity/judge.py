"""The judge: does a difference come from rounding in float32, or do the two sides compute different things?

PyTorch's own float32 result lies some distance from its float64 result: the *noise*. Another faithful float32
implementation lies about as far from it (32 faithful conversions measured 0.66 to 2.44 times as far). So a result is
within noise up to `LIMIT` times that distance. Where it lies further away, or where the noise is so large that a fault
could hide in it, both sides are compared in float64, and must agree to `EXACT` of the largest value.

float64 tells whether both sides compute the same formula. It does not excuse a float32 result that is far worse than
what PyTorch makes of the same formula in float32: that one `loses digits`.

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

EXPLAINED = 10 * LIMIT
"""How many times the noise a float32 result may be off, if both sides agree in float64: another order of adding up."""

DIGITS, TRAINED_DIGITS, KINKED_DIGITS = 1e-5, 1e-3, 0.5
"""What loses no digits that matter, relative to the largest value: of outputs, of a forward pass in train mode, and of
gradients and all that follows from them. There one ReLU whose input rounds to the other side of zero makes a third."""

HIDING = 1e-4
"""Noise above this, relative to the largest value, could hide a fault."""

ROUNDING = 2.0**-24
"""Half the distance between float32 numbers at 1: no float32 result can be asked to be closer than that."""

SMALLEST = 1e-6
"""A channel is judged by its own largest value, but by no less than this part of the whole tensor's."""

LARGE, INFINITE = 1e4, 1e30
"""What is `LARGE` and the same on both sides is a mask's, and no scale. What is `INFINITE` stands for infinity."""

CHANNELS = 4096
"""The last axis is judged channel by channel up to this size."""

VERDICTS = ("identical", "within noise", "loses digits", "elevated", "different")
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
        channel: the largest ratio of a channel alone, where small values stand beside large ones.
        digits: the relative error in float32 that does not matter if float64 agrees.
    """

    error: float
    noise: float
    scale: float
    squares: tuple[float, float] = (0.0, 0.0)
    identical: bool = False
    fault: str = ""
    double: float | None = None
    allowed: float = EXACT
    channel: float = 0.0
    digits: float = DIGITS

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
        return self.ratio > LIMIT or self.channel > LIMIT or self.noise > HIDING * self.scale

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
            if self.double <= max(self.allowed, amplified):
                explained = self.ratio <= EXPLAINED or self.relative <= self.digits
                return "within noise" if explained else "loses digits"
            return "elevated" if self.double <= CLOSE else "different"
        return "within noise" if self.ratio <= LIMIT else "elevated" if self.ratio <= 10 * LIMIT else "different"


def measure(found: Any, exact: Any, single: Any, spread: float = 0.0) -> Measure:
    """Measures one array; integers and booleans as the numbers they are.

    Args:
        found: OneFlow's result.
        exact: PyTorch's in float64.
        single: PyTorch's in its own precision.
        spread: how far PyTorch's own float32 results lie from `exact` if its weights are off by one rounding.
    """
    found, exact, single = np.asarray(found), np.asarray(exact), np.asarray(single)
    if found.shape != single.shape:
        return missing(f"shape {found.shape} instead of {single.shape}")
    wider = found.dtype == np.float64 and single.dtype == np.float32
    if found.dtype.kind != single.dtype.kind or wider:
        return missing(f"dtype {found.dtype} instead of {single.dtype}")
    if not single.size:
        return Measure(0, 0, 0, identical=True)
    if np.array_equal(found, single, equal_nan=found.dtype.kind == "f"):
        return Measure(0.0, 0.0, _largest(single), identical=True)
    found, exact, single = (array.astype(np.float64, copy=False) for array in (found, exact, single))
    finite = np.isfinite(single)
    if not finite.all() or not np.isfinite(found).all():
        if not np.array_equal(np.isfinite(found), finite) or not np.array_equal(
            found[~finite], single[~finite], equal_nan=True
        ):
            return missing("other elements are infinite or NaN")
        found, exact, single = (np.where(finite, array, 0) for array in (found, exact, single))
    if _largest(single) >= INFINITE:
        exact = np.where(np.abs(single) >= INFINITE, single, exact)  # the smallest number of a dtype, in a mask
    error, noise, size = np.abs(found - exact), np.abs(single - exact), _sizes(found, exact)
    scale, noisy = float(size.max()), max(float(noise.max()), spread)
    channels = _channels(error, noise, size)
    rounding = ROUNDING * np.maximum(channels[2], SMALLEST * scale)
    # A channel of few elements may have little noise by luck.
    floor = np.maximum(np.maximum(channels[1], rounding), np.minimum(noisy, 100 * rounding))
    ratios = np.divide(channels[0], floor, out=np.zeros_like(floor), where=floor > 0)
    return Measure(
        float(error.max()),
        noisy,
        scale,
        (float(np.vdot(error, error)), float(np.vdot(noise, noise))),
        channel=float(ratios.max()),
    )


def measure_draws(found: tuple[Any, Any], recorded: tuple[Any, Any], draws: int) -> Measure:
    """Measures a random tensor: the mean and the deviation of each element, over as many runs on either side.

    The error is in units of what chance makes: `LIMIT` of them is a mean that is 6 standard errors off, or a
    deviation that is.

    Args:
        found: OneFlow's mean and deviation.
        recorded: PyTorch's.
        draws: of how many runs.
    """
    (mean, deviation), (theirs, wanted) = found, recorded
    if mean.shape != theirs.shape:
        return missing(f"shape {mean.shape} instead of {theirs.shape}")
    if not mean.size:
        return Measure(0, 0, 0, identical=True)
    pooled = np.sqrt((deviation**2 + wanted**2) / 2)
    # What hardly ever happens may never have happened here: no element has less chance than a part of the average.
    chance = np.maximum(pooled, max(float(pooled.mean()) / 4, 10 * ROUNDING * float(np.abs(theirs).max())))
    distance = np.abs(mean - theirs)
    # Of many elements, the largest distance is larger.
    errors = np.divide(distance, chance, out=np.zeros_like(distance), where=chance > 0).max() / math.sqrt(2 / draws)
    errors /= max(1.0, math.sqrt(2 * math.log(mean.size)) / 3)
    one, other = float(deviation.mean()), float(wanted.mean())
    still = 0.0 if max(one, other) <= 10 * ROUNDING * float(np.abs(theirs).max()) else math.inf
    wide = abs(math.log(one / other)) * math.sqrt(draws - 1) if min(one, other) > 0 else still
    return Measure(max(float(errors), wide if still else 0.0) / 2, 1.0, 0.0)


def _largest(array: Any) -> float:
    """The largest finite absolute value."""
    largest = float(np.abs(array).max())
    return largest if math.isfinite(largest) else float(np.abs(array[np.isfinite(array)]).max(initial=0))


def _bounded(array: Any) -> Any:
    """In float64, with infinity for what stands for it in masks: the smallest number of float32 or of float64."""
    array = array.astype(np.float64)
    return np.where(np.abs(array) >= INFINITE, np.copysign(np.inf, array), array)


def _sizes(found: Any, exact: Any) -> Any:
    """How large each value is; 0 for a mask's, which are large and the same on both sides."""
    size = np.abs(exact)
    return np.where((size >= LARGE) & (found == exact), 0, size) if size.max() >= LARGE else size


def _channels(*arrays: Any) -> list[Any]:
    """The largest value of each channel, along the last axis; of the whole where there are no channels."""
    first = arrays[0]
    if first.ndim < 2 or first.shape[-1] > CHANNELS:
        return [array.max(keepdims=True).reshape(-1) for array in arrays]
    return [array.reshape(-1, array.shape[-1]).max(axis=0) for array in arrays]


def summed(found: Any, given: Iterable[Any]) -> float:
    """How many numbers a layer adds up for one of its results, at least: 3,136 for the mean of a map of 56 x 56.

    OneFlow adds one after the other, and each addition rounds: of numbers of one sign, all may round to one side.
    """
    return float(max((each.size for each in given), default=0) / max(found.size, 1))


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


def distance_in_float64(found: Any, exact: Any, scale: float = 0.0, single: Any = None) -> float:
    """The relative distance of two float64 results; at most `EXACT` for a faithful one.

    Args:
        found: OneFlow's.
        exact: PyTorch's.
        scale: the distance is relative to the largest value or to this, whichever is more.
        single: PyTorch's in float32: with it, each channel is judged by its own largest value.
    """
    found, exact = (_bounded(np.asarray(array)) for array in (found, exact))
    if found.shape != exact.shape:
        return math.inf
    if not exact.size:
        return 0.0
    finite = np.isfinite(exact)
    if not np.array_equal(np.isfinite(found), finite):
        return math.inf
    found, exact = np.where(finite, found, 0), np.where(finite, exact, 0)
    distance, size = np.abs(found - exact), _sizes(found, exact)
    whole = max(float(size.max()), scale)
    if single is None or not whole:
        return float(distance.max()) / whole if whole else float(distance.max())
    noise = np.abs(np.where(finite, _bounded(np.asarray(single)), 0) - exact)
    each = _channels(distance, np.nan_to_num(noise), size)
    # What cancels out in float32 cancels out in float64, and leaves as much less as that is finer.
    floor = np.maximum(np.maximum(each[2], SMALLEST * whole), 10 * FINER * each[1] / EXACT)
    return float((each[0] / np.maximum(floor, scale)).max())
