"""Compares two streams of elements, block by block.

Where the bits of a block are the same, that is all; where they are not, the elements that differ are compared as
numbers: in float64, integers exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.diffing.differences import ElementDifferences
from torch2flow.checkpoints.dtypes import DType
from torch2flow.checkpoints.writing.value_changes import cast
from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Chunks = Iterator[Array]

Progress = Callable[[int], None]

BLOCK = 1 << 18
"""Elements that are compared at once: in float64 two megabytes, whatever the dtype."""

COMPARABLE = "biufcq"
"""Kinds of dtypes (`DType.kind`) whose elements are numbers. Of packed dtypes only the bits are compared."""


def compare_elements(
    a: Chunks, dtype_a: DType, b: Chunks, dtype_b: DType, shape: tuple[int, ...], advance: Progress
) -> ElementDifferences:
    """Compares two streams of elements; `shape` is what the index of one is told in."""
    import numpy as np

    values, read = no_differences(math.prod(shape), dtype_a), 0
    meter = _Meter(values, dtype_a, dtype_b)
    for one, other in _blocks(a, b):
        meter.add(read, one, other)
        advance(one.nbytes + other.nbytes)
        read += one.size
    if read != values.elements:
        raise FormatError(f"A tensor gave {read} elements in place of {values.elements}.")
    if meter.worst >= 0:
        values.index = tuple(int(i) for i in np.unravel_index(meter.worst, shape))
    values.rounded = meter.rounds and values.different > 0
    return values


def no_differences(elements: int, dtype: DType) -> ElementDifferences:
    """What there is to say of so many elements that are equal."""
    return ElementDifferences(elements) if dtype.kind in COMPARABLE else ElementDifferences(elements, 0, None, None)


def _blocks(a: Chunks, b: Chunks) -> Iterator[tuple[Array, Array]]:
    """Yields equally many elements of both streams, whose own chunks may have different lengths."""
    left, right = next(a, None), next(b, None)
    while left is not None and right is not None:
        count = min(left.size, right.size, BLOCK)
        if count:
            yield left[:count], right[:count]
        left, right = left[count:], right[count:]
        if not left.size:
            left = next(a, None)
        if not right.size:
            right = next(b, None)


class _Meter:
    """Adds up what differs, block by block."""

    def __init__(self, values: ElementDifferences, dtype_a: DType, dtype_b: DType) -> None:
        self.values, self.dtype_a, self.dtype_b = values, dtype_a, dtype_b
        self.same = dtype_a.name == dtype_b.name
        self.numbers = dtype_a.kind in COMPARABLE
        self.rounds = not self.same and dtype_a.kind == dtype_b.kind == "f" and dtype_a.itemsize != dtype_b.itemsize
        self.worst, self.badness = -1, (-1, 0.0)

    def add(self, at: int, a: Array, b: Array) -> None:
        """Compares the elements from number `at` on."""
        import numpy as np

        if self.same:
            which = _other_bits(a, b)
            if not which.size:
                return
            a, b = a[which], b[which]
        else:
            which = np.arange(a.size)
            self.rounds = self.rounds and _is_rounded(a, self.dtype_a, b, self.dtype_b)
        with np.errstate(all="ignore"):
            if self.numbers:
                self._add_numbers(at, which, a, b)
            else:
                self.values.different += int(which.size)
                self._keep(at + int(which[0]), (0, 0.0), a[0], b[0])

    def _add_numbers(self, at: int, which: Array, a: Array, b: Array) -> None:
        """Adds the elements `at + which`. If both dtypes are the same, their bits differ; if not, they may be equal."""
        import numpy as np

        gap, relative, nan_a, nan_b, differ = _distance(a, self.dtype_a, b, self.dtype_b)
        values, lone = self.values, nan_a ^ nan_b
        values.nan_a += int((nan_a & ~nan_b).sum())
        values.nan_b += int((nan_b & ~nan_a).sum())
        if self.same:
            differ[:] = True
            values.nan_bits += int((nan_a & nan_b).sum())
        if not differ.any():
            return
        values.different += int(differ.sum())
        values.largest = max(values.largest or 0.0, float(gap.max()))
        values.relative = max(values.relative or 0.0, float(relative.max()))
        if lone.any():
            worst, badness = int(np.argmax(lone)), (1, 0.0)
        else:
            worst = int(np.argmax(np.where(differ, gap, -1.0)))
            badness = (0, float(gap[worst]))
        self._keep(at + int(which[worst]), badness, a[worst], b[worst])

    def _keep(self, index: int, badness: tuple[int, float], a: Any, b: Any) -> None:
        if badness > self.badness:
            self.worst, self.badness = index, badness
            self.values.a, self.values.b = str(a), str(b)


def _other_bits(a: Array, b: Array) -> Array:
    """The indices of the elements whose bits differ; both arrays have one dtype."""
    import numpy as np

    unit = f"u{min(a.itemsize, 8)}"
    unequal = np.ascontiguousarray(a).view(unit) != np.ascontiguousarray(b).view(unit)
    return np.flatnonzero(unequal.reshape(a.size, -1).any(axis=1) if unequal.size != a.size else unequal)


def _is_rounded(a: Array, dtype_a: DType, b: Array, dtype_b: DType) -> bool:
    """Whether the values of the narrower dtype are the wider ones, rounded. Any two NaNs count as equal."""
    import numpy as np

    if dtype_a.itemsize > dtype_b.itemsize:
        a, b, dtype_a = b, a, dtype_b
    rounded, found = cast(b, dtype_a).astype(np.float64), a.astype(np.float64)
    return bool(((rounded == found) | (np.isnan(rounded) & np.isnan(found))).all())


def _distance(a: Array, dtype_a: DType, b: Array, dtype_b: DType) -> tuple[Array, Array, Array, Array, Array]:
    """|a - b|, |a - b| / max(|a|, |b|), NaN in a, NaN in b, and unequal as numbers. NaNs have distance 0."""
    import numpy as np

    x, y = _wide(a, dtype_a), _wide(b, dtype_b)
    nan_a, nan_b = np.isnan(x), np.isnan(y)
    i, j = _integers(a, dtype_a), _integers(b, dtype_b)
    gap, equal = np.abs(x - y), (x == y) | (nan_a & nan_b)
    gap[np.isnan(gap)] = np.inf  # complex numbers, both with an infinite part
    if i is not None and j is not None:
        equal, gap = _integer_distance(i, j, gap)
    else:  # beyond 2**53 an integer has no float64 of its own
        for integers, number in ((i, x), (j, y)):
            if integers is not None:
                lost = (integers - number.real.astype(integers.dtype)).view("<i8")
                gap = np.where(equal, np.abs(lost), gap)
                equal = equal & (lost == 0)
    gap[equal | nan_a | nan_b] = 0
    relative = np.where(np.isinf(gap), np.inf, gap / np.maximum(np.abs(x), np.abs(y)))
    relative[gap == 0] = 0
    return gap, relative, nan_a, nan_b, ~equal


def _integer_distance(i: Array, j: Array, gap: Array) -> tuple[Array, Array]:
    """Which integers are equal, and |i - j| computed modulo 2**64. Where the signs differ, `gap` has the distance."""
    import numpy as np

    u, v = i.view("<u8"), j.view("<u8")
    if i.dtype == j.dtype:
        return u == v, (np.maximum(i, j).view("<u8") - np.minimum(i, j).view("<u8")).astype(np.float64)
    positive = (j if i.dtype == "<u8" else i) >= 0  # the one that is signed
    return (u == v) & positive, np.where(positive, (np.maximum(u, v) - np.minimum(u, v)).astype(np.float64), gap)


def _wide(chunk: Array, dtype: DType) -> Array:
    """The numbers in float64, or complex128."""
    import numpy as np

    if dtype.name == "complex32":  # a structured pair: NumPy has no such number
        wide = np.empty(chunk.shape, np.complex128)
        wide.real, wide.imag = chunk["real"], chunk["imag"]
        return wide
    return chunk.astype(np.complex128 if dtype.kind == "c" else np.float64)


def _integers(chunk: Array, dtype: DType) -> Array | None:
    """The numbers in int64 or uint64; None if the dtype is no integer."""
    if dtype.kind not in "biuq":
        return None
    return chunk.astype("<u8" if dtype.name == "uint64" else "<i8")
