"""`diff`: the tensors of two files or folders, of whatever format, compared by name, dtype, shape and every bit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from torch2flow.checkpoints.diffing.differences import STATUSES, Diff, ElementDifferences, TensorDifference
from torch2flow.checkpoints.diffing.elements import Progress
from torch2flow.checkpoints.diffing.rename_suggestion import suggest_rename
from torch2flow.checkpoints.diffing.tensors import compare_tensors
from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.names.user_choice import choose_names
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor
from torch2flow.checkpoints.pytorch.pieced_tensor import PiecedTensor
from torch2flow.errors import FormatError, UnsupportedError, UsageError

MAX_REPEATED = 1 << 40
"""How many bytes larger than its storage an expanded tensor may be: sixteen bytes can be expanded to 2**60."""


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
        >>> result = torch2flow.convert("model.pth", "half.pth", torch2flow.Options(dtype="float16"))
        >>> found = torch2flow.diff("model.pth", "half.pth", include=["fc"])
        >>> [row.name for row in found.group("dtype differs")]
        ['fc.weight', 'fc.bias']
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
    rows = [TensorDifference(name, originals[name]) for name in ours]
    rows.extend(TensorDifference(name) for name in theirs if name not in ours)
    shared = {id(tensor) for _, tensor in (*left.sharing, *right.sharing)}
    _compare_all(rows, ours, theirs, shared, progress)
    _tell_ties(found, rows, ours, theirs, shared)
    found.suggestion = suggest_rename({n: t.shape for n, t in ours.items()}, {n: t.shape for n, t in theirs.items()})
    hollow = sum(isinstance(t, CompositeTensor) and not t.parts for n, t in ours.items() if n in theirs)
    if hollow:
        found.notes.append(f"{hollow} have no values in the file: only dtype and shape were compared")
    # Python's sort is stable: rows without values stay in the order of the files.
    rows.sort(key=lambda row: row.values.badness if row.values else (False, 0.0, 0.0), reverse=True)
    found.rows = sorted(rows, key=lambda row: STATUSES.index(row.status))
    left.check_unchanged()
    right.check_unchanged()
    return found


def _tell_ties(
    found: Diff, rows: list[TensorDifference], ours: dict[str, Tensor], theirs: dict[str, Tensor], shared: set[int]
) -> None:
    """Notes names that are missing because they are tied to another, and names that are tied on one side only."""
    absent = {(row.status, row.name): row for row in rows if row.status.startswith("only")}
    ties: dict[str, set[tuple[str, ...]]] = {"A": set(), "B": set()}
    for side, tensors, other, others in (("A", ours, "B", theirs), ("B", theirs, "A", ours)):
        for group in _tied(tensors, shared):
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


def _tied(tensors: dict[str, Tensor], shared: set[int]) -> list[list[str]]:
    groups: dict[Any, list[str]] = {}
    for name, tensor in tensors.items():
        if id(tensor) in shared and tensor.nbytes:  # tensors without elements may well begin at the same byte
            groups.setdefault(_identity(tensor), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _compare_all(
    rows: list[TensorDifference],
    ours: dict[str, Tensor],
    theirs: dict[str, Tensor],
    shared: set[int],
    progress: Callable[[int], Progress] | None,
) -> None:
    """Fills in the rows. Tensors that are tied on both sides are read once.

    Args:
        shared: the ids of the tensors that may be tied; to keep what is found for every tensor takes a gigabyte for a
            million of them.
    """
    both = []
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
            both.append(row)
    advance: Progress = _ignore
    if progress is not None:
        advance = progress(sum(ours[row.name].nbytes + theirs[row.name].nbytes for row in both))
    tied: dict[Any, tuple[ElementDifferences | None, list[str]]] = {}
    equal: dict[Any, ElementDifferences] = {}
    for row in both:
        a, b = ours[row.name], theirs[row.name]
        pair = (_identity(a), _identity(b)) if id(a) in shared and id(b) in shared else None
        if pair in tied:
            values, remarks = tied[pair]
            advance(a.nbytes + b.nbytes)
        else:
            values, remarks = _compare(row.name, a, b, advance)
            if pair is not None:
                tied[pair] = values, remarks
        if values is not None and not values.different:
            values = equal.setdefault((values.elements, values.largest), values)
        row.values = values
        if row.shape_a != row.shape_b:
            row.status = "shape differs"
        elif row.dtype_a != row.dtype_b:
            row.status = "dtype differs"
        elif remarks or (values is not None and values.different):
            row.status = "values differ"
        row.remarks = [*remarks, *(_remarks(row, values) if values is not None else ())]


def _ignore(count: int) -> None:
    """Is called with the bytes that were read, where nobody watches."""


def _compare(name: str, a: Tensor, b: Tensor, advance: Progress) -> tuple[ElementDifferences | None, list[str]]:
    try:
        return compare_tensors(a, b, advance)
    except FormatError as error:
        where = f"{error.where}, tensor {name[:200]!r}".removeprefix(", ")
        raise FormatError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None


def _identity(tensor: Tensor) -> Any:
    """Equal for two names of one tensor. Two composite tensors may share parts and differ in their scales."""
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


def _remarks(row: TensorDifference, values: ElementDifferences) -> list[str]:
    said = values.remarks
    if row.status in ("dtype differs", "shape differs") and not values.different:
        said.append("the same values")
    elif values.rounded:
        narrow_a = DTYPES[row.dtype_a].itemsize < DTYPES[row.dtype_b].itemsize
        said.append(f"A is B rounded to {row.dtype_a}" if narrow_a else f"B is A rounded to {row.dtype_b}")
    return said


def _dtype_name(tensor: Tensor) -> str:
    return f"{tensor.layout} {tensor.dtype}" if isinstance(tensor, CompositeTensor) else tensor.dtype.name
