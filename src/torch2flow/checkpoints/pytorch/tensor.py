"""A tensor in a file: dtype, shape, strides, and where its bytes lie. Nothing is read until asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DType, numpy_dtype
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np

CHUNK = 4 << 20
"""Bytes of a tensor that are in memory at once where it has to be rearranged or changed."""

MAX_DIMENSIONS = 32
"""c10/core/impl/SizesAndStrides.h knows no limit; NumPy 1 stops at 32, OneFlow at 20."""

MAX_ELEMENTS = 1 << 59
"""At sixteen bytes each, an int64 can count no more bytes. NumPy refuses more even if a dimension is 0."""

MAX_REPEATED = 1 << 30
"""How many bytes larger than its storage an expanded tensor may be, if it has to be copied to become an array."""


@dataclass(slots=True, eq=False)
class Storage:
    """A run of bytes that one or more tensors look into.

    Attributes:
        key: the file's own name for it.
        nbytes: its length.
        file: where it lies, or None if `data` holds it.
        offset: byte offset in the file; -1 until a format that lists its storages last has got there.
        data: the bytes themselves, for arrays that a pickle holds inline.
        crc32: checksum that the archive carries, or None.
        big_endian: its numbers are stored most significant byte first.
    """

    key: str
    nbytes: int
    file: SourceFile | None = None
    offset: int = -1
    data: bytes | bytearray | memoryview | None = None
    crc32: int | None = None
    big_endian: bool = False

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from byte `start` of the storage."""
        if self.data is not None:
            return bytes(self.data[start : start + count])
        if self.file is None or self.offset < 0:
            raise FormatError("A tensor's bytes are missing from the file.", where=f"storage {self.key!r}")
        return self.file.read(self.offset + start, count, f"storage {self.key!r}")

    def map(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """All its bytes, mapped where they lie in a file (uint8, writable, copy-on-write)."""
        import numpy as np

        if self.data is not None:
            mapped = isinstance(self.data, memoryview) and not self.data.readonly
            return np.frombuffer(self.data if mapped else bytearray(self.data), np.uint8)
        if self.file is None or self.nbytes == 0:
            return np.frombuffer(bytearray(self.read(0, self.nbytes)), np.uint8)
        self.file.read(self.offset + self.nbytes, 0, f"storage {self.key!r}")  # beyond the end, a map is a SIGBUS
        return np.frombuffer(self.file.map(), np.uint8, self.nbytes, self.offset)


@dataclass(slots=True, eq=False, repr=False)
class TensorRef:
    """A dense tensor.

    Attributes:
        dtype: its element type.
        shape: elements along each dimension.
        stride: elements from one index to the next along each dimension; 0 where expanded.
        storage_offset: elements from the start of the storage.
        storage: where the bytes are.
        requires_grad: PyTorch's flag; a state dict is detached, so False there.
        is_parameter: it was saved as an `nn.Parameter`.
        conj: the bytes hold the complex conjugate (`torch.Tensor.is_conj`).
        neg: the bytes hold the negative (`torch.Tensor.is_neg`).
    """

    dtype: DType
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    storage_offset: int
    storage: Storage
    requires_grad: bool = False
    is_parameter: bool = False
    conj: bool = False
    neg: bool = False

    def __post_init__(self) -> None:
        check_view(self)

    @classmethod
    def whole(cls, dtype: DType, shape: tuple[int, ...], stride: tuple[int, ...], storage: Storage) -> TensorRef:
        """A tensor that is all of its storage, contiguous: nothing has to be checked of it, in a tenth of the time."""
        made = cls.__new__(cls)
        made.dtype, made.shape, made.stride, made.storage_offset, made.storage = dtype, shape, stride, 0, storage
        made.requires_grad = made.is_parameter = made.conj = made.neg = False
        return made

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, each counted once for every index."""
        return self.numel * self.dtype.itemsize

    @property
    def identity(self) -> tuple[Any, ...]:
        """Equal for two names of the same tensor: tied weights."""
        return (
            id(self.storage),
            self.dtype.name,
            self.storage_offset,
            self.shape,
            self.stride,
            self.conj,
            self.neg,
        )

    @property
    def is_plain(self) -> bool:
        """The bytes lie in the file just as a C-contiguous little-endian array has them."""
        return not (self.conj or self.neg or self.storage.big_endian) and is_contiguous(self.shape, self.stride)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.dtype} {list(self.shape)}>"

    @property
    def byte_offset(self) -> int:
        """Bytes from the start of the storage to the first element."""
        return self.storage_offset * self.dtype.itemsize

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as an array of `shape`: a copy-on-write map of the file where its bytes allow it.

        bfloat16 and float8 come as `ml_dtypes`; complex32 as a structured pair of float16.
        """
        view = self.view()
        if not self.is_stored and self.nbytes > self.storage.nbytes + MAX_REPEATED:
            raise UnsupportedError(
                f"An array of the tensor of shape {_brief(self.shape)} would be {self.nbytes} bytes, "
                f"repeated from {self.storage.nbytes}.",
                where=f"storage {self.storage.key[:100]!r}",
                remedy="read it piece by piece with chunks()",
            )
        return self.resolve(view)

    @property
    def is_stored(self) -> bool:
        """The values are the bytes in the file: nothing has to be swapped, conjugated or negated."""
        return not (self.conj or self.neg or (self.storage.big_endian and self.dtype.swap_size > 1))

    def region(self, start: tuple[int, ...], stop: tuple[int, ...]) -> TensorRef:
        """The block between two corners: the same bytes, seen through a smaller window."""
        shape = tuple(b - a for a, b in zip(start, stop, strict=True))
        offset = self.storage_offset + sum(a * step for a, step in zip(start, self.stride, strict=True))
        return replace(self, shape=shape, storage_offset=offset if all(shape) else self.storage_offset)

    def seen(self, shape: tuple[int, ...], stride: tuple[int, ...]) -> TensorRef:
        """The same elements through another shape and other strides, counted from the first."""
        return replace(self, shape=shape, stride=stride)

    def view(self) -> np.ndarray[Any, Any]:
        """The bytes in the file as an array of `shape`, before `resolve`."""
        import numpy as np

        # A stride that is never stepped can be any number, also one whose bytes overflow.
        used, item = self.numel > 0, self.dtype.itemsize
        strides = tuple(
            item * step if used and size > 1 else 0 for size, step in zip(self.shape, self.stride, strict=True)
        )
        # numpy.ndarray checks shape and strides against the buffer once more; `as_strided` would not.
        buffer, offset = self.storage.map(), self.byte_offset if used else 0
        return np.ndarray(self.shape, numpy_dtype(self.dtype), buffer, offset, strides)

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """The elements in C order as flat arrays of at most `CHUNK` bytes: bounded memory for any layout."""
        import numpy as np

        step = max(1, CHUNK // self.dtype.itemsize)
        if is_contiguous(self.shape, self.stride):
            for start in range(0, self.numel, step):
                count = min(step, self.numel - start)
                raw = self.storage.read(self.byte_offset + start * self.dtype.itemsize, count * self.dtype.itemsize)
                yield self.resolve(np.frombuffer(bytearray(raw), numpy_dtype(self.dtype)))
            return
        whole = self.view()
        # Rows of the first dimensions whose inner block fits; `nditer` would copy with a buffer per element.
        axis, block = split_rows(self.shape, step)
        for index in np.ndindex(*self.shape[:axis]):
            rows = whole[index]
            for start in range(0, max(1, rows.shape[0] if rows.ndim else 1), block):
                part = rows[start : start + block] if rows.ndim else rows
                yield self.resolve(np.ascontiguousarray(part).reshape(-1))

    def resolve(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Applies byte order and the conj and neg bits, each of which makes a copy."""
        import numpy as np

        if self.storage.big_endian and self.dtype.swap_size > 1:
            unit = np.dtype(f"u{self.dtype.swap_size}")
            copy = np.ascontiguousarray(array).view(unit).byteswap().view(array.dtype)
            array = copy.reshape(array.shape)
        if self.conj and self.dtype.name == "complex32":  # a structured pair: NumPy has no such number
            array = array.copy()
            array["imag"] = -array["imag"]
        elif self.conj:
            array = np.conj(array)
        return np.negative(array) if self.neg else array


@dataclass(slots=True, eq=False, repr=False)
class CompositeTensor:
    """A tensor that is not one dense array, but is made of several.

    Attributes:
        layout: `sparse_coo`, `sparse_csr` (and bsr, csc, bsc), `quantized`, `meta`, `nested` or `subclass`.
        dtype: element type of the whole.
        shape: shape of the whole.
        parts: the dense tensors it consists of: `indices` and `values`, `int_repr`, ...
        attributes: what else the file says of it: scale, zero point, scheme, class name.
        requires_grad: PyTorch's flag.
        is_parameter: it was saved as an `nn.Parameter`.
    """

    layout: str
    dtype: DType
    shape: tuple[int, ...]
    parts: dict[str, TensorRef] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    requires_grad: bool = False
    is_parameter: bool = False

    def __post_init__(self) -> None:
        check_shape(self.shape)

    def __repr__(self) -> str:
        return f"<CompositeTensor {self.layout} {self.dtype} {list(self.shape)}>"

    def numpy(self) -> np.ndarray[Any, Any]:
        """Refused: there is no one array. `parts` has the arrays that it is made of.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"A tensor of layout {self.layout} is no array.", remedy="read its parts")

    @property
    def nbytes(self) -> int:
        """Bytes of its parts."""
        return sum(part.nbytes for part in self.parts.values())

    @property
    def identity(self) -> tuple[Any, ...]:
        """Equal for two names of the same tensor."""
        return (
            (self.layout, self.shape, *(part.identity for part in self.parts.values())) if self.parts else (id(self),)
        )


Tensor = TensorRef | CompositeTensor


def is_contiguous(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether strides are those of a C-contiguous array; dimensions of one element don't count."""
    if 0 in shape:
        return True
    expected = 1
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size != 1:
            if step != expected:
                return False
            expected *= size
    return True


def contiguous_stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array of `shape`."""
    stride: list[int] = []
    step = 1
    for size in reversed(shape):
        stride.append(step)
        step *= max(size, 1)
    return tuple(reversed(stride))


def reshaped(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor of the same elements, in their order, with another shape; copied if strided, or in several places."""
    if tensor.shape == shape or not isinstance(tensor, TensorRef):
        return tensor
    if is_contiguous(tensor.shape, tensor.stride):
        return tensor.seen(shape, contiguous_stride(shape))
    import numpy as np

    return in_memory(np.ascontiguousarray(tensor.numpy()).reshape(shape), tensor.dtype)


def in_memory(array: np.ndarray[Any, Any], dtype: DType) -> TensorRef:
    """An array as a tensor that lies in no file."""
    storage = Storage("", array.nbytes, data=array.tobytes())
    return TensorRef(dtype, array.shape, contiguous_stride(array.shape), 0, storage)


def check_shape(shape: tuple[Any, ...]) -> None:
    """Refuses a shape that no array can have.

    Raises:
        FormatError: it has too many dimensions, a size that is no count, or more elements than can be counted.
    """
    if len(shape) > MAX_DIMENSIONS:
        raise FormatError(f"A tensor has {len(shape)} dimensions; torch2flow reads up to {MAX_DIMENSIONS}.")
    if not all(map(_is_count, shape)) or math.prod(n or 1 for n in shape) > MAX_ELEMENTS:
        raise FormatError(f"A tensor has the absurd shape {_brief(shape)}.", maybe="the file is damaged or hostile")


def check_view(tensor: TensorRef) -> None:
    """Refuses a view that reaches outside its storage, as PyTorch's `checkInBoundsForStorage` does.

    Raises:
        FormatError: sizes, strides or offset are not those of a view into the storage.
    """
    shape, stride, last = tensor.shape, tensor.stride, tensor.storage_offset
    if len(shape) > MAX_DIMENSIONS:
        check_shape(shape)
    sound = len(shape) == len(stride) and _is_count(last)
    elements = 1
    for size, step in zip(shape, stride, strict=False):
        sound = sound and _is_count(size) and _is_count(step)
        if sound:
            last += (size - 1) * step
            elements *= size or 1
    if elements > MAX_ELEMENTS:
        check_shape(shape)
    if sound and 0 not in shape:
        sound = (last + 1) * tensor.dtype.itemsize <= tensor.storage.nbytes
    if not sound:
        raise FormatError(
            f"A tensor lies outside its storage: {tensor.dtype} of shape {_brief(shape)}, "
            f"strides {_brief(stride)}, offset {_brief((tensor.storage_offset,))}, in {tensor.storage.nbytes} bytes.",
            where=f"storage {tensor.storage.key[:100]!r}",
            maybe="the file is damaged, or was made to read memory that is not its own",
            remedy="fetch the file again",
        )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _brief(numbers: tuple[Any, ...]) -> str:
    text = ", ".join(str(n) if isinstance(n, int) and n.bit_length() < 128 else type(n).__name__ for n in numbers[:8])
    return f"({text}{', ...' if len(numbers) > 8 else ''})"


def split_rows(shape: tuple[int, ...], step: int) -> tuple[int, int]:
    """How many leading dimensions to iterate one by one, and how many rows of the next fit into `step` elements."""
    for axis in range(len(shape)):
        inner = math.prod(shape[axis + 1 :])
        if inner <= step:
            return axis, max(1, step // max(1, inner))
    return len(shape), 1
