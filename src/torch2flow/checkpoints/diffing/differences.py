"""What a comparison of two checkpoints found, down to the elements of each tensor, and as plain data."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STATUSES = ("only in A", "only in B", "dtype differs", "shape differs", "values differ", "equal")
"""The outcomes for one tensor, in the order in which they are shown. If shape and dtype differ, the shape counts."""


@dataclass(slots=True)
class ElementDifferences:
    """How far the elements of two tensors are apart.

    Attributes:
        elements: how many there are.
        different: how many differ: in their bits, or where the dtypes differ, as numbers.
        largest: the largest |a - b|; None where the elements are no numbers. A NaN does not count here.
        relative: the largest |a - b| / max(|a|, |b|).
        index: where |a - b| is largest, or where the first NaN is that the other side has not; None if all are equal.
        a, b: the two elements at `index`.
        nan_a, nan_b: elements that are NaN in A only, and in B only.
        nan_bits: elements that are NaN in both, with other bits.
        rounded: the dtypes differ, and the narrower side is the other one rounded.
    """

    elements: int
    different: int = 0
    largest: float | None = 0.0
    relative: float | None = 0.0
    index: tuple[int, ...] | None = None
    a: str = ""
    b: str = ""
    nan_a: int = 0
    nan_b: int = 0
    nan_bits: int = 0
    rounded: bool = False

    @property
    def badness(self) -> tuple[bool, float, float]:
        """A key for sorting: the worse a difference is, the larger is its key."""
        return bool(self.nan_a or self.nan_b), self.largest or 0.0, self.different / max(1, self.elements)

    @property
    def remarks(self) -> list[str]:
        """Sentences about what the numbers do not show."""
        said = []
        if self.nan_a or self.nan_b:
            said.append(f"NaN: {self.nan_a:,} in A only, {self.nan_b:,} in B only")
        if self.nan_bits:
            said.append(f"{self.nan_bits:,} NaN with other bits")
        if self.different > self.nan_bits and self.largest == 0 and not (self.nan_a or self.nan_b):
            said.append("zeros of another sign")
        return said

    def to_json(self) -> dict[str, Any]:
        """Plain data; an infinite number is the text `inf`, since JSON has no number for it."""
        numbers = {"largest": _number(self.largest), "relative": _number(self.relative)}
        return {**asdict(self), **numbers, "index": None if self.index is None else list(self.index)}


@dataclass(slots=True)
class TensorDifference:
    """One name, and what the two sides hold of it.

    Attributes:
        name: its name in B, and in A once that is renamed.
        original: its name in A's file; "" if it is only in B.
        status: one of `STATUSES`.
        dtype_a, dtype_b: dtype, with the layout where that is not dense; "" where it is missing.
        shape_a, shape_b: shape; None where it is missing.
        values: how the elements compare; None where they can't be.
        remarks: what else there is to say.
    """

    name: str
    original: str = ""
    status: str = "equal"
    dtype_a: str = ""
    dtype_b: str = ""
    shape_a: tuple[int, ...] | None = None
    shape_b: tuple[int, ...] | None = None
    values: ElementDifferences | None = None
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        shapes = {
            "shape_a": None if self.shape_a is None else list(self.shape_a),
            "shape_b": None if self.shape_b is None else list(self.shape_b),
        }
        return {**asdict(self), **shapes, "values": None if self.values is None else self.values.to_json()}


@dataclass(slots=True)
class Diff:
    """What a comparison found.

    Attributes:
        a, b: the two files or folders.
        key_a, key_b: the part of each that was compared.
        rows: every name, in the order of `STATUSES`, the worst first within each.
        suggestion: a rename rule (pattern, replacement) that would align the names, or None.
        notes: what a person should know.
    """

    a: Path
    b: Path
    key_a: str
    key_b: str
    rows: list[TensorDifference] = field(default_factory=list)
    suggestion: tuple[str, str] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return any(row.status != "equal" for row in self.rows)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows there are of each status."""
        found = Counter(row.status for row in self.rows)
        return {status: found[status] for status in STATUSES}

    @property
    def rename(self) -> str:
        """The suggestion as an option for a shell; "" if there is none."""
        return f"--rename {shlex.quote('='.join(self.suggestion))}" if self.suggestion is not None else ""

    def group(self, status: str) -> list[TensorDifference]:
        """The rows of one status."""
        return [row for row in self.rows if row.status == status]

    def to_json(self, rows: Callable[[Iterator[Any]], Any] = list) -> dict[str, Any]:
        """Plain data; `rows=iter` makes the rows one by one, as they are printed."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "key_a": self.key_a,
            "key_b": self.key_b,
            "differs": self.differs,
            "counts": self.counts,
            "rows": rows(row.to_json() for row in self.rows),
            "suggestion": None if self.suggestion is None else list(self.suggestion),
            "notes": self.notes,
        }


def _number(value: float | None) -> float | str | None:
    return str(value) if value is not None and math.isinf(value) else value
