"""NumPy arrays, scalars and dtypes inside a pickle: kept as bytes with a dtype and a shape.

Follows `numpy/core/src/multiarray/methods.c` (`array_reduce`, `array_setstate`) and `descriptor.c`
(`arraydescr_setstate`); NumPy 2 renamed `numpy.core` to `numpy._core`. Arrays of Python objects hold pickles
of their own and are kept as opaque records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch2flow.dtypes import DTYPES
from torch2flow.errors import FormatError
from torch2flow.pickles import Call, Machine, Name, Opaque
from torch2flow.pickles.machine import Constructor
from torch2flow.pytorch.tensor import Storage, TensorRef, contiguous_stride

PLAIN_KINDS = "biufcSUVMm?"
"""Kinds of dtype whose elements are bytes alone: no Python objects."""

_BY_CODE = {
    ("b", 1): "bool", ("i", 1): "int8", ("i", 2): "int16", ("i", 4): "int32", ("i", 8): "int64",
    ("u", 1): "uint8", ("u", 2): "uint16", ("u", 4): "uint32", ("u", 8): "uint64",
    ("f", 2): "float16", ("f", 4): "float32", ("f", 8): "float64", ("c", 8): "complex64", ("c", 16): "complex128",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class NumpyDType:
    """`numpy.dtype('f4')`: a kind, a size, and a byte order that arrives with its state."""

    code: str
    order: str = "|"
    state: tuple[Any, ...] | None = None

    def set_pickled_state(self, state: Any) -> None:
        """`(version, byte order, subarray, names, fields, size, alignment, ...)`."""
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")):
            raise FormatError("A NumPy dtype has a state that NumPy never wrote.")
        self.order, self.state = state[1], state

    @property
    def itemsize(self) -> int:
        """Bytes an element; text counts four a character."""
        size = self.state[5] if self.state and len(self.state) > 5 else -1
        if type(size) is int and size > 0:  # structures, text and raw bytes state it
            return size
        digits = self.code[1:]
        return int(digits) * (4 if self.code[0] == "U" else 1) if digits.isdigit() and len(digits) < 10 else 0

    def call(self) -> Call:
        """The call that makes NumPy's own dtype, for a stream that OneFlow's Python reads."""
        # Dates keep their unit in the state's last member (`arraydescr_reduce`).
        state = self.state or (3, self.order, None, None, None, -1, -1, 0)
        return Call(Name("numpy.dtype"), (self.code, False, True), state)


@dataclass(slots=True, eq=False)
class NumpyArray:
    """An array or scalar.

    Attributes:
        dtype: its element type.
        shape: elements along each dimension.
        data: the elements' bytes, in C order or, if `fortran`, in Fortran order.
        fortran: the first index runs fastest.
        scalar: it was a NumPy scalar, not an array.
        objects: the elements of an array of Python objects, which has no bytes.
    """

    dtype: NumpyDType
    shape: tuple[int, ...] = ()
    data: bytes | bytearray | memoryview = b""
    fortran: bool = False
    scalar: bool = False
    objects: list[Any] | None = None

    def set_pickled_state(self, state: Any) -> None:
        """`(version, shape, dtype, is_fortran, data)`."""
        shape, dtype, fortran, data = state[-4:]
        if isinstance(data, str):  # Python 2 wrote str where Python 3 has bytes
            data = data.encode("latin1")
        if isinstance(data, list):
            self.shape, self.objects = tuple(shape), data
            return
        if not isinstance(dtype, NumpyDType) or not isinstance(data, bytes | bytearray | memoryview):
            raise FormatError("A NumPy array inside the file has a state that NumPy never wrote.")
        self.dtype, self.shape, self.fortran, self.data = dtype, tuple(shape), bool(fortran), data
        self.check()

    def check(self) -> None:
        """Refuses bytes that are not as many as shape and dtype say."""
        sound = all(type(n) is int and n >= 0 for n in self.shape) and self.dtype.code[0] in PLAIN_KINDS
        if not sound or math.prod(self.shape) * self.dtype.itemsize != len(self.data):
            raise FormatError(
                f"A NumPy array of dtype {self.dtype.code[:20]} does not hold what its shape says."
            )

    def as_tensor(self) -> TensorRef:
        """The same numbers as a tensor.

        Raises:
            FormatError: they are text or another type that no tensor has.
        """
        name = _BY_CODE.get((self.dtype.code[0], self.dtype.itemsize))
        if name is None:
            raise FormatError(f"A NumPy array of dtype {self.dtype.code} is no tensor.")
        stride = contiguous_stride(self.shape[::-1])[::-1] if self.fortran else contiguous_stride(self.shape)
        storage = Storage("numpy", len(self.data), data=self.data, big_endian=self.dtype.order == ">")
        return TensorRef(DTYPES[name], self.shape, stride, 0, storage)

    def call(self) -> Call:
        """The call that makes NumPy's own array or scalar; named as NumPy 1 and 2 both know it."""
        if self.scalar:
            return Call(Name("numpy.core.multiarray.scalar"), (self.dtype.call(), self.data))
        new = Call(Name("numpy.core.multiarray._reconstruct"), (Name("numpy.ndarray"), (0,), b"b"))
        new.state = (1, self.shape, self.dtype.call(), self.fortran, self.data)
        return new


def _dtype(machine: Machine, code: Any, align: Any = False, copy: Any = False) -> NumpyDType:
    text = code.decode("ascii") if isinstance(code, bytes) else code
    if not isinstance(text, str) or not text:
        raise FormatError("A NumPy dtype has no name.")
    return NumpyDType(text)


def _reconstruct(machine: Machine, kind: Any, shape: Any, code: Any) -> Any:
    if getattr(kind, "name", "") != "numpy.ndarray":
        return Opaque(getattr(kind, "name", "numpy.ndarray"), (shape, code))
    return NumpyArray(NumpyDType("b1"))


def _scalar(machine: Machine, dtype: Any, data: Any = b"") -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(dtype, NumpyDType) or not isinstance(raw, bytes) or dtype.code[0] not in PLAIN_KINDS:
        return Opaque("numpy.core.multiarray.scalar", (dtype, data))
    scalar = NumpyArray(dtype, (), raw, scalar=True)
    scalar.check()
    return scalar


def _frombuffer(machine: Machine, data: Any, dtype: Any, shape: Any, order: Any = "C") -> NumpyArray:
    """How protocol 5 spells an array (`numpy/core/numeric.py`)."""
    array = NumpyArray(NumpyDType("b1"))
    array.set_pickled_state((shape, dtype, order == "F", bytes(data)))
    return array


ARRAY_CONSTRUCTORS: dict[str, Constructor] = {"numpy.dtype": _dtype}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    ARRAY_CONSTRUCTORS[f"{_module}._reconstruct"] = _reconstruct
    ARRAY_CONSTRUCTORS[f"{_module}.scalar"] = _scalar
for _module in ("numpy.core.numeric", "numpy._core.numeric"):
    ARRAY_CONSTRUCTORS[f"{_module}._frombuffer"] = _frombuffer
