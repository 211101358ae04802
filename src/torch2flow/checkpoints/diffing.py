"""`diff`: the tensors of two files or folders, of whatever format, compared by name, dtype, shape and every bit.

Both are read side by side in blocks of `BLOCK` elements. Where the bits of a block are the same, that is all;
where they are not, the elements that differ are compared as numbers: in float64, integers exactly.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DTYPES, DType
from torch2flow.checkpoints.names.user_choice import choose_names
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.pieced import PiecedTensor
from torch2flow.checkpoints.writing.value_changes import INTEGER_OF, cast, changed_chunks
from torch2flow.errors import FormatError, UnsupportedError, UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Chunks = Iterator[Array]

Progress = Callable[[int], None]

BLOCK = 1 << 18
"""Elements that are compared at once: in float64 two megabytes, whatever the dtype."""

STATUSES = ("only in A", "only in B", "dtype differs", "shape differs", "values differ", "equal")
"""What a tensor can be, in the order in which it is shown. Where shape and dtype differ, it is the shape."""

MAX_REPEATED = 1 << 40
"""Bytes that an expanded tensor may take more than its storage: sixteen bytes can be expanded to 2**60."""

COMPARABLE = "biufcq"
"""Kinds of dtypes (`DType.kind`) whose elements are numbers; of packed ones only the bits are compared."""


@dataclass(slots=True)
class Values:
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
        """The larger, the worse."""
        return bool(self.nan_a or self.nan_b), self.largest or 0.0, self.different / max(1, self.elements)

    @property
    def remarks(self) -> list[str]:
        """What the other numbers don't say."""
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
class Row:
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
    values: Values | None = None
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
    rows: list[Row] = field(default_factory=list)
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

    def group(self, status: str) -> list[Row]:
        """The rows of one status."""
        return [row for row in self.rows if row.status == status]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "key_a": self.key_a,
            "key_b": self.key_b,
            "differs": self.differs,
            "counts": self.counts,
            "rows": [row.to_json() for row in self.rows],
            "suggestion": None if self.suggestion is None else list(self.suggestion),
            "notes": self.notes,
        }


def diff(
    a: str | os.PathLike[str] | Checkpoint,
    b: str | os.PathLike[str] | Checkpoint,
    *,
    key_a: str | None = None,
    key_b: str | None = None,
    rename: Iterable[tuple[str, str]] = (),
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    progress: Callable[[int], Progress] | None = None,
) -> Diff:
    """Compares the tensors of two files or folders in any format of docs/formats.md.

    Args:
        a, b: the two; or checkpoints that were opened already.
        key_a, key_b: the part of each, as a dotted path; None chooses by rule, "." is the whole.
        rename: pairs of regular expression and replacement, applied in order to A's names.
        include: only names that one of these matches are compared; A's after renaming.
        exclude: names that one of these matches are not.
        progress: gets the number of bytes to read, and returns what is called with each number of bytes read.

    Raises:
        FormatError: one of the two can't be read.
        UnsupportedError: a tensor is expanded to more than can be read.
        UsageError: a key, a pattern or a rename can't be used, or no tensor is left to compare.

    Example:
        >>> import torch2flow
        >>> found = torch2flow.diff("model.pth", "out")                 # doctest: +SKIP
        >>> [row.name for row in found.group("values differ")]          # doctest: +SKIP
        ['fc.weight']
    """
    left = a if isinstance(a, Checkpoint) else open_checkpoint(a, key_a)
    right = b if isinstance(b, Checkpoint) else open_checkpoint(b, key_b)
    naming = choose_names(left, rename=tuple(rename))
    include, exclude = tuple(include), tuple(exclude)
    originals = {new: old for old, new in naming.names.items()}
    ours = {name: left[originals[name]] for name in choose_names(originals, include=include, exclude=exclude).names}
    theirs = {name: right[name] for name in choose_names(right, include=include, exclude=exclude).names}
    if not ours and not theirs:
        raise UsageError(
            f"No tensor is left to compare; {left.path.name} has {len(left)}, {right.path.name} has {len(right)}.",
            where=f"{left.path}, {right.path}",
            remedy="'torch2flow inspect FILE' shows what a file holds, and under which names",
        )
    found = Diff(left.path, right.path, left.key, right.key, notes=naming.notes)
    rows = [Row(name, originals[name]) for name in ours]
    rows.extend(Row(name) for name in theirs if name not in ours)
    _compare_all(rows, ours, theirs, progress)
    _tell_ties(found, rows, ours, theirs)
    found.suggestion = _suggest({n: t.shape for n, t in ours.items()}, {n: t.shape for n, t in theirs.items()})
    hollow = sum(isinstance(t, CompositeTensor) and not t.parts for n, t in ours.items() if n in theirs)
    if hollow:
        found.notes.append(f"{hollow} have no values in the file: only dtype and shape were compared")
    # Python's sort is stable: rows without values stay in the order of the files.
    rows.sort(key=lambda row: row.values.badness if row.values else (False, 0.0, 0.0), reverse=True)
    found.rows = sorted(rows, key=lambda row: STATUSES.index(row.status))
    left.check_unchanged()
    right.check_unchanged()
    return found


def _tell_ties(found: Diff, rows: list[Row], ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Of a missing name, what the other side has in its place; of names on both sides, what is tied on one only."""
    absent = {(row.status, row.name): row for row in rows if row.status.startswith("only")}
    ties: dict[str, set[tuple[str, ...]]] = {"A": set(), "B": set()}
    for side, tensors, other, others in (("A", ours, "B", theirs), ("B", theirs, "A", ours)):
        for group in _tied(tensors):
            common = sorted(name for name in group if name in others)
            if len(common) > 1:
                ties[side].add(tuple(common))
            for name in group if common else ():
                if name not in others:
                    absent[f"only in {side}", name].remarks.append(f"tied to {common[0]}, which {other} has")
    for side, other in (("A", "B"), ("B", "A")):
        lone = sorted(ties[side] - ties[other])
        if lone:
            found.notes.append(f"tied in {side} only: {'; '.join(map(' = '.join, lone))}")


def _tied(tensors: dict[str, Tensor]) -> list[list[str]]:
    groups: dict[Any, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.nbytes:  # tensors without elements may well begin at the same byte
            groups.setdefault(_identity(tensor), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _compare_all(
    rows: list[Row],
    ours: dict[str, Tensor],
    theirs: dict[str, Tensor],
    progress: Callable[[int], Progress] | None,
) -> None:
    """Fills in the rows. Tied tensors, which are one on both sides, are read once."""
    pairs: dict[Any, tuple[Tensor, Tensor, list[Row]]] = {}
    for row in rows:
        a, b = ours.get(row.name), theirs.get(row.name)
        if a is not None:
            row.dtype_a, row.shape_a = _dtype_name(a), a.shape
        if b is not None:
            row.dtype_b, row.shape_b = _dtype_name(b), b.shape
        if a is None or b is None:
            row.status = "only in B" if a is None else "only in A"
        else:
            _check_readable(row.name, a, b)
            pairs.setdefault((_identity(a), _identity(b)), (a, b, []))[2].append(row)
    total = sum(a.nbytes + b.nbytes for a, b, _ in pairs.values())
    advance = progress(total) if progress is not None else lambda count: None
    for a, b, users in pairs.values():
        try:
            values, remarks = _compare(a, b, advance)
        except FormatError as error:
            where = f"{error.where}, tensor {users[0].name[:200]!r}".removeprefix(", ")
            raise FormatError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None
        for row in users:
            row.values = values
            if row.shape_a != row.shape_b:
                row.status = "shape differs"
            elif row.dtype_a != row.dtype_b:
                row.status = "dtype differs"
            elif remarks or (values is not None and values.different):
                row.status = "values differ"
            row.remarks = [*remarks, *(_remarks(row, values) if values is not None else ())]


def _identity(tensor: Tensor) -> Any:
    """Equal for two names of the same tensor. Composite ones may share their parts and have other scales."""
    return id(tensor) if isinstance(tensor, CompositeTensor) else tensor.identity


def _check_readable(name: str, *tensors: Tensor) -> None:
    for tensor in tensors:
        for part in tensor.parts.values() if isinstance(tensor, CompositeTensor) else (tensor,):
            if not isinstance(part, PiecedTensor) and part.nbytes > part.storage.nbytes + MAX_REPEATED:
                raise UnsupportedError(
                    f"A tensor of {part.storage.nbytes} bytes is expanded to {part.nbytes}, too many to compare.",
                    where=f"tensor {name[:200]!r}",
                    remedy="leave it out with --exclude",
                )


def _remarks(row: Row, values: Values) -> list[str]:
    said = values.remarks
    if row.status in ("dtype differs", "shape differs") and not values.different:
        said.append("the same values")
    elif values.rounded:
        narrow_a = DTYPES[row.dtype_a].itemsize < DTYPES[row.dtype_b].itemsize
        said.append(f"A is B rounded to {row.dtype_a}" if narrow_a else f"B is A rounded to {row.dtype_b}")
    return said


def _dtype_name(tensor: Tensor) -> str:
    return f"{tensor.layout} {tensor.dtype}" if isinstance(tensor, CompositeTensor) else tensor.dtype.name


def _compare(a: Tensor, b: Tensor, advance: Progress) -> tuple[Values | None, list[str]]:
    """How the elements compare, None if they can't; and what differs beside them."""
    if isinstance(a, CompositeTensor) and isinstance(b, CompositeTensor) and a.layout == b.layout:
        return _compare_parts(a, b, advance)
    count, one, other = math.prod(a.shape), _elements(a), _elements(b)
    if count != math.prod(b.shape) or one is None or other is None or (not count and a.shape != b.shape):
        return None, []
    (chunks_a, dtype_a), (chunks_b, dtype_b) = one, other
    numbers = dtype_a.kind in COMPARABLE and dtype_b.kind in COMPARABLE
    if dtype_a.name != dtype_b.name and not numbers:
        return None, []
    return _measure(chunks_a, dtype_a, chunks_b, dtype_b, a.shape, advance), []


def _elements(tensor: Tensor) -> tuple[Chunks, DType] | None:
    """The elements of a tensor, those of a quantized one as the numbers it stands for; None if there is no list."""
    if isinstance(tensor, TensorRef):
        return tensor.chunks(), tensor.dtype
    if tensor.layout == "quantized" and tensor.dtype.name in INTEGER_OF:
        return changed_chunks(tensor, "dequantized"), DTYPES["float32"]
    return None


def _compare_parts(a: CompositeTensor, b: CompositeTensor, advance: Progress) -> tuple[Values | None, list[str]]:
    """Part by part, as they are stored: the worst of them, and a remark for each that differs."""
    remarks = []
    for name in sorted(a.attributes.keys() | b.attributes.keys()):
        one, other = a.attributes.get(name), b.attributes.get(name)
        if one != other and not (one != one and other != other):
            remarks.append(f"{name}: {str(one)[:60]} in A, {str(other)[:60]} in B")
    worst: Values | None = None
    for name in sorted(a.parts.keys() | b.parts.keys()):
        left, right = a.parts.get(name), b.parts.get(name)
        if left is None or right is None:
            remarks.append(f"{name}: only in {'A' if right is None else 'B'}")
        elif (left.dtype.name, left.shape) != (right.dtype.name, right.shape):
            remarks.append(f"{name}: {left.dtype} {list(left.shape)} in A, {right.dtype} {list(right.shape)} in B")
        else:
            values = _measure(left.chunks(), left.dtype, right.chunks(), right.dtype, left.shape, advance)
            if values.different:
                remarks.append(f"{name} differs")
            if worst is None or values.badness > worst.badness:
                worst = values
    return worst, remarks


def _measure(a: Chunks, dtype_a: DType, b: Chunks, dtype_b: DType, shape: tuple[int, ...], advance: Progress) -> Values:
    """Compares two streams of elements; `shape` is what the index of one is told in."""
    import numpy as np

    values, read = Values(math.prod(shape)), 0
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


def _blocks(a: Chunks, b: Chunks) -> Iterator[tuple[Array, Array]]:
    """Two streams in step, equally many elements of both; they may come in chunks of other lengths."""
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

    def __init__(self, values: Values, dtype_a: DType, dtype_b: DType) -> None:
        self.values, self.dtype_a, self.dtype_b = values, dtype_a, dtype_b
        self.same = dtype_a.name == dtype_b.name
        self.numbers = dtype_a.kind in COMPARABLE
        self.rounds = not self.same and dtype_a.kind == dtype_b.kind == "f" and dtype_a.itemsize != dtype_b.itemsize
        self.worst, self.badness = -1, (-1, 0.0)
        if not self.numbers:
            values.largest = values.relative = None

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
        """The elements number `at + which`: of one dtype they differ in their bits, of two they may be equal."""
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
    """The numbers of the elements, of one dtype, whose bits are not the same."""
    import numpy as np

    unit = f"u{min(a.itemsize, 8)}"
    unequal = np.ascontiguousarray(a).view(unit) != np.ascontiguousarray(b).view(unit)
    return np.flatnonzero(unequal.reshape(a.size, -1).any(axis=1) if unequal.size != a.size else unequal)


def _is_rounded(a: Array, dtype_a: DType, b: Array, dtype_b: DType) -> bool:
    """Whether the narrower side is the wider one rounded to its dtype; any NaN stands for any."""
    import numpy as np

    if dtype_a.itemsize > dtype_b.itemsize:
        a, b, dtype_a = b, a, dtype_b
    rounded, found = cast(b, dtype_a).astype(np.float64), a.astype(np.float64)
    return bool(((rounded == found) | (np.isnan(rounded) & np.isnan(found))).all())


def _distance(a: Array, dtype_a: DType, b: Array, dtype_b: DType) -> tuple[Array, Array, Array, Array, Array]:
    """|a - b|, that relative to the larger (both 0 beside a NaN), NaNs of a and of b, and which differ as numbers."""
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
    """Which are equal, and |i - j|, which is the difference modulo 2**64; `gap` holds it for numbers of two signs."""
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
    """The numbers in int64 or uint64, None if they are no integers."""
    if dtype.kind not in "biuq":
        return None
    return chunk.astype("<u8" if dtype.name == "uint64" else "<i8")


def _suggest(a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]) -> tuple[str, str] | None:
    """The change of a prefix or suffix that would align names that hardly overlap; a name counts with its shape."""
    fewest = min(len(a), len(b))
    overlap = len(a.keys() & b.keys())
    if not fewest or 2 * overlap > fewest:
        return None
    offers: list[tuple[int, int, int, str, str]] = []
    for step, separators in ((1, "."), (-1, "._:/")):  # a suffix is the prefix of a name read backwards
        ours, theirs = ({name[::step]: shape for name, shape in side.items()} for side in (a, b))
        for old in _prefixes(ours, separators):
            for new in _prefixes(theirs, separators):
                renamed = {new + n[len(old) :] if n.startswith(old) else n: shape for n, shape in ours.items()}
                fits = sum(theirs.get(name) == shape for name, shape in renamed.items())
                if fits > overlap and 2 * fits >= fewest and len(renamed) == len(a) and f"{old}{new}".isprintable():
                    offers.append((fits, -len(old) - len(new), step, old[::step], new[::step]))
    if not offers:
        return None
    _, _, step, old, new = max(offers)
    escaped = re.escape(old).replace("=", "\\x3d")
    return f"^{escaped}" if step > 0 else f"{escaped}$", new.replace("\\", "\\\\")


def _prefixes(names: Iterable[str], separators: str) -> list[str]:
    """The prefixes up to a separator, four at most of a name, that half of the names have; the empty one among them."""
    names = list(names)
    found: Counter[str] = Counter()
    for name in names:
        for match in itertools.islice(re.finditer(f"[{separators}]", name), 4):
            found[name[: match.end()]] += 1
    return ["", *(prefix for prefix, count in found.items() if 2 * count >= len(names) and len(prefix) < 100)]


def _number(value: float | None) -> float | str | None:
    return str(value) if value is not None and math.isinf(value) else value
