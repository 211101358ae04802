"""A weight that a library quantized and packed: what it consists of, and how its values are computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DTYPES, DType
from torch2flow.checkpoints.pytorch import CompositeTensor, TensorRef
from torch2flow.checkpoints.pytorch.tensor import CHUNK

if TYPE_CHECKING:
    import numpy as np

    Values = Iterator[np.ndarray[Any, Any]]

LAYOUT = "packed"
Parts = dict[str, TensorRef]


@dataclass(slots=True, eq=False, repr=False)
class PackedTensor(CompositeTensor):
    """A packed weight.

    Attributes:
        scheme: whose format it is, for messages: `GPTQ, 4 bits`.
        unpack: yields its values in C order as flat arrays of float32, a few MiB at a time. None if there is no way.
        problem: why there is none, and what would help.
    """

    scheme: str = ""
    unpack: Callable[[], Values] | None = None
    problem: str = ""


def packed(
    scheme: str, dtype: DType, shape: tuple[int, ...], parts: Parts, unpack: Callable[[], Values]
) -> PackedTensor:
    """A weight whose values `unpack` computes; they are rounded to `dtype` where no other is asked for."""
    return PackedTensor(LAYOUT, dtype, shape, dict(parts), scheme=scheme, unpack=unpack)


def unknown(scheme: str, parts: Parts, problem: str) -> PackedTensor:
    """A weight that can't be unpacked, and why."""
    first = next(iter(parts.values()))
    return PackedTensor(LAYOUT, first.dtype, first.shape, dict(parts), scheme=scheme, problem=problem)


def rows_at_once(elements: int) -> int:
    """How many rows of so many elements are unpacked together, in float32."""
    return max(1, CHUNK // (4 * max(1, elements)))


def columns_of(tensor: TensorRef, first: int, last: int) -> np.ndarray[Any, Any]:
    """Columns `first` to `last` of a matrix, as an array."""
    return tensor.region((0, first), (tensor.shape[0], last)).numpy()


def rows_of(tensor: TensorRef, first: int, last: int) -> np.ndarray[Any, Any]:
    """Rows `first` to `last` of a tensor, as an array."""
    rest = tensor.shape[1:]
    return tensor.region((first, *(0,) * len(rest)), (last, *rest)).numpy()


def floating(tensor: TensorRef) -> np.ndarray[Any, Any]:
    """All values in float32."""
    return tensor.numpy().astype("<f4")


def unpacked(words: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """The numbers of `bits` bits in the int32 words along the last dimension, the lowest bits first (int16).

    Numbers of 3 bits go on across words: three words hold 32 of them.
    """
    import numpy as np

    words = np.ascontiguousarray(words).view("<u4")
    if 32 % bits == 0:
        numbers = words[..., None] >> np.arange(0, 32, bits, dtype="<u4")
    else:
        runs = words.reshape(*words.shape[:-1], -1, bits).astype("<u8")
        word, shift = np.divmod(np.arange(32) * bits, 32)
        following = np.minimum(word + 1, bits - 1)
        numbers = runs[..., word] >> shift.astype("<u8") | runs[..., following] << (32 - shift).astype("<u8")
    values: np.ndarray[Any, Any] = (numbers & numbers.dtype.type((1 << bits) - 1)).astype("<i2")
    return values.reshape(*words.shape[:-1], -1)


FLOAT16, BFLOAT16, FLOAT32 = DTYPES["float16"], DTYPES["bfloat16"], DTYPES["float32"]
