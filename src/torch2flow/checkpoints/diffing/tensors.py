"""Compares two tensors, of whatever layouts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.diffing.differences import ElementDifferences
from torch2flow.checkpoints.diffing.elements import COMPARABLE, Progress, compare_elements, no_differences
from torch2flow.checkpoints.dtypes import DTYPES, DType
from torch2flow.checkpoints.pytorch import CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tensor import CHUNK
from torch2flow.checkpoints.writing.value_changes import INTEGER_OF, changed_chunks

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Chunks = Iterator[Array]


def compare_tensors(a: Tensor, b: Tensor, advance: Progress) -> tuple[ElementDifferences | None, list[str]]:
    """How the elements compare (None if they can't be compared), and sentences about what else differs."""
    if isinstance(a, CompositeTensor) and isinstance(b, CompositeTensor) and a.layout == b.layout:
        return _compare_parts(a, b, advance)
    count, one, other = math.prod(a.shape), _elements(a), _elements(b)
    if count != math.prod(b.shape) or one is None or other is None or (not count and a.shape != b.shape):
        return None, []
    (chunks_a, dtype_a), (chunks_b, dtype_b) = one, other
    numbers = dtype_a.kind in COMPARABLE and dtype_b.kind in COMPARABLE
    if dtype_a.name != dtype_b.name and not numbers:
        return None, []
    if _are_the_same_bytes(a, b):
        advance(2 * a.nbytes)
        return no_differences(count, dtype_a), []
    return compare_elements(chunks_a, dtype_a, chunks_b, dtype_b, a.shape, advance), []


def _are_the_same_bytes(a: Tensor, b: Tensor) -> bool:
    """Whether two small tensors are: for small ones NumPy costs more than everything else together."""
    if type(a) is not TensorRef or type(b) is not TensorRef or a.dtype != b.dtype or a.nbytes > CHUNK:
        return False
    one, other = (t.storage.read(t.byte_offset, t.nbytes) if t.is_plain else None for t in (a, b))
    return one is not None and one == other


def _elements(tensor: Tensor) -> tuple[Chunks, DType] | None:
    """The elements of a tensor and their dtype. Quantized tensors give the numbers they stand for, sparse ones None."""
    if isinstance(tensor, TensorRef):
        return tensor.chunks(), tensor.dtype
    if tensor.layout == "quantized" and tensor.dtype.name in INTEGER_OF:
        return changed_chunks(tensor, "dequantized"), DTYPES["float32"]
    return None


def _compare_parts(
    a: CompositeTensor, b: CompositeTensor, advance: Progress
) -> tuple[ElementDifferences | None, list[str]]:
    """Compares the stored parts one by one: the worst of them, and a remark for each part that differs."""
    remarks = []
    for name in sorted(a.attributes.keys() | b.attributes.keys()):
        one, other = a.attributes.get(name), b.attributes.get(name)
        if one != other and not (one != one and other != other):
            remarks.append(f"{name}: {str(one)[:60]} in A, {str(other)[:60]} in B")
    worst: ElementDifferences | None = None
    for name in sorted(a.parts.keys() | b.parts.keys()):
        left, right = a.parts.get(name), b.parts.get(name)
        if left is None or right is None:
            remarks.append(f"{name}: only in {'A' if right is None else 'B'}")
        elif (left.dtype.name, left.shape) != (right.dtype.name, right.shape):
            remarks.append(f"{name}: {left.dtype} {list(left.shape)} in A, {right.dtype} {list(right.shape)} in B")
        else:
            values = compare_elements(left.chunks(), left.dtype, right.chunks(), right.dtype, left.shape, advance)
            if values.different:
                remarks.append(f"{name} differs")
            if worst is None or values.badness > worst.badness:
                worst = values
    return worst, remarks
