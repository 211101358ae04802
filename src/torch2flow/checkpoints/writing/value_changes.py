"""What a tensor is turned into where its bytes do not stay as they are: each change is one row and one function.

| change         | from            | to                                   | asked for by |
|----------------|-----------------|--------------------------------------|--------------|
| `widened`      | a dtype the target lacks | the smallest that holds every value | default; `--strict-dtype` refuses |
| `cast`         | floating        | the dtype named                      | `--dtype` |
| `view_as_real` | complex         | a last dimension of 2                | `--complex real` |
| `dequantized`  | quantized       | float32, or a packed weight's dtype | `--quantized dequantize` |
| `int_repr`     | quantized       | the integers; scale and zero point go to the manifest | `--quantized int` |
| `dense`        | sparse          | all elements                         | `--sparse dense` |
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DTYPES, DType, numpy_dtype
from torch2flow.checkpoints.packed import PackedTensor
from torch2flow.checkpoints.pytorch import CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tensor import CHUNK
from torch2flow.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

    Chunks = Iterator[np.ndarray[Any, Any]]

REAL_OF = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
INTEGER_OF = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}
SPARSE = ("sparse_coo", "sparse_csr", "sparse_csc")


def plain_source(tensor: Tensor, change: str) -> TensorRef | None:
    """The dense tensor whose bytes, just as they lie in the file, are those of the changed tensor; or None."""
    if isinstance(tensor, CompositeTensor):
        part = tensor.parts.get("int_repr") if change == "int_repr" else None
        return part if part is not None and part.is_plain else None
    return tensor if tensor.is_plain and change in ("", "view_as_real") else None


def changed_shape(tensor: Tensor, change: str) -> tuple[int, ...]:
    """The shape after the change."""
    return (*tensor.shape, 2) if change == "view_as_real" else tensor.shape


def changed_chunks(tensor: Tensor, change: str) -> Chunks:
    """The elements in C order, flat, at most a few MiB at a time (all at once where a sparse one becomes dense)."""
    if isinstance(tensor, CompositeTensor):
        yield from _COMPOSITE[change](tensor)
    elif change == "view_as_real":
        real = numpy_dtype(DTYPES[REAL_OF[tensor.dtype.name]])
        yield from (chunk.view(real) for chunk in tensor.chunks())
    else:
        stored = getattr(tensor, "source", None) if change == "cast" else None
        yield from (tensor if stored is None else stored).chunks()  # not by way of a narrower dtype


SHIFTS = {("bfloat16", "float32"): ("<u2", "<u4", 16), ("float8_e5m2", "float16"): ("u1", "<u2", 8)}
"""Dtypes that are the upper bits of a wider one. A shift keeps the bits of a NaN; a cast may change them."""


def widen(chunk: np.ndarray[Any, Any], dtype: DType, wide: DType) -> np.ndarray[Any, Any]:
    """The elements in a type that holds every value of theirs."""
    if (dtype.name, wide.name) not in SHIFTS:
        return cast(chunk, wide)
    narrow_bits, wide_bits, shift = SHIFTS[dtype.name, wide.name]
    return (chunk.view(narrow_bits).astype(wide_bits) << shift).view(numpy_dtype(wide))


def narrow(chunk: np.ndarray[Any, Any], wide: DType, dtype: DType, name: str) -> np.ndarray[Any, Any]:
    """The reverse of `widen`.

    Args:
        chunk: elements of the wider type.
        wide: the wider type.
        dtype: the one they shall have.
        name: of the tensor, for the message.

    Raises:
        UnsupportedError: an element has no such value: it was changed after it was widened.
    """
    if (dtype.name, wide.name) in SHIFTS:
        narrow_bits, wide_bits, shift = SHIFTS[dtype.name, wide.name]
        bits = chunk.view(wide_bits)
        if not (bits & ((1 << shift) - 1)).any():
            return (bits >> shift).astype(narrow_bits).view(numpy_dtype(dtype))
    made = cast(chunk, dtype)
    back = widen(made, dtype, wide)
    odd = (back != chunk) & ((back == back) | (chunk == chunk))  # a NaN is not itself
    if odd.any():
        raise UnsupportedError(
            f"{name[:200]}: {chunk[odd][0]} is stored as {wide} and is no {dtype}, which the tensor was before.",
            maybe="the values were changed after torch2flow widened them",
            remedy="--dtype says what floating tensors become; without its manifest, a tensor is what it is stored as",
        )
    return made


def cast(chunk: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """`chunk` in another dtype; values beyond its range become infinite, as PyTorch's `.to()` has it."""
    import numpy as np

    target = numpy_dtype(dtype)
    if chunk.dtype == target:
        return chunk
    with np.errstate(over="ignore", invalid="ignore"):
        return chunk.astype(target)


def _int_repr(tensor: CompositeTensor) -> Chunks:
    integer = numpy_dtype(DTYPES[INTEGER_OF[tensor.dtype.name]])
    yield from (chunk.view(integer) for chunk in tensor.parts["int_repr"].chunks())


def _dequantized(tensor: CompositeTensor) -> Chunks:
    """`scale * (q - zero_point)` in float32, per tensor or per channel (`aten/src/ATen/native/quantized`)."""
    import numpy as np

    if isinstance(tensor, PackedTensor):
        yield from tensor.unpack() if tensor.unpack is not None else _impossible(tensor)
        return
    scale, zero = (_parameter(tensor, name) for name in ("scale", "zero_point"))
    axis = tensor.attributes.get("axis", 0)
    if type(axis) is not int or not 0 <= axis < max(1, len(tensor.shape)):
        raise FormatError(f"A quantized tensor names axis {str(axis)[:20]}, which it has not.")
    channels = tensor.shape[axis] if scale.ndim and tensor.shape else 1
    if scale.shape != zero.shape or scale.size not in (1, channels):
        raise FormatError(f"A quantized tensor has {scale.size} scales for {channels} channels.")
    inner = math.prod(tensor.shape[axis + 1 :])
    start = 0
    for chunk in _int_repr(tensor):
        channel = (np.arange(start, start + chunk.size) // max(1, inner)) % channels if scale.ndim else 0
        yield (scale[channel] if scale.ndim else scale) * (chunk - (zero[channel] if zero.ndim else zero)).astype("<f4")
        start += chunk.size


def _parameter(tensor: CompositeTensor, name: str) -> np.ndarray[Any, Any]:
    import numpy as np

    part = tensor.parts.get(name)
    value = part.numpy() if part is not None else np.asarray(tensor.attributes.get(name, 0))
    return value.astype("<f4" if name == "scale" else "<i8")


def _dense(tensor: CompositeTensor) -> Chunks:
    """All elements of a sparse tensor. Duplicates of an uncoalesced one add up, as in PyTorch's `to_dense`."""
    import numpy as np

    parts = {name: part.numpy() for name, part in tensor.parts.items()}
    values = parts["values"]
    try:
        dense = np.zeros(tensor.shape, values.dtype)
        if tensor.layout == "sparse_coo":
            index = tuple(parts["indices"])
        else:
            row, column = (
                ("crow_indices", "col_indices") if tensor.layout == "sparse_csr" else ("ccol_indices", "row_indices")
            )
            compressed = np.repeat(np.arange(len(parts[row]) - 1), np.diff(parts[row]))
            index = (compressed, parts[column]) if tensor.layout == "sparse_csr" else (parts[column], compressed)
        if any((axis < 0).any() for axis in index):
            raise IndexError("negative index")
        if dense.dtype == bool:
            dense[index] = values
        else:
            np.add.at(dense, index, values)
    except (IndexError, ValueError, MemoryError) as error:
        raise FormatError(f"A sparse tensor's parts don't fit its shape {list(tensor.shape)}: {error}.") from None
    flat = dense.reshape(-1)
    step = max(1, CHUNK // flat.itemsize)
    yield from (flat[start : start + step] for start in range(0, flat.size, step))


def _impossible(tensor: CompositeTensor) -> Chunks:
    raise UnsupportedError(f"A tensor of layout {tensor.layout} has no dense form.")


_COMPOSITE = {"int_repr": _int_repr, "dequantized": _dequantized, "dense": _dense, "": _impossible}
