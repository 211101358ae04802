"""NumPy arrays, scalars and dtypes inside a pickle: kept as bytes with a dtype and a shape.

Follows `numpy/core/src/multiarray/methods.c` (`array_reduce`, `array_setstate`) and `descriptor.c`
(`arraydescr_setstate`); NumPy 2 renamed `numpy.core` to `numpy._core`. Arrays of Python objects hold pickles
of their own and are kept as opaque records.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.pickles import Constructor, Machine, Name, PickledCall, label
from torch2flow.checkpoints.pytorch.tensor import MAX_DIMENSIONS, Storage, TensorRef, contiguous_stride
from torch2flow.errors import FormatError

PLAIN_KINDS = "biufcSUVMm?"
"""Kinds of dtype whose elements are bytes alone: no Python objects."""

_BY_CODE = {
    ("b", 1): "bool", ("i", 1): "int8", ("i", 2): "int16", ("i", 4): "int32", ("i", 8): "int64",
    ("u", 1): "uint8", ("u", 2): "uint16", ("u", 4): "uint32", ("u", 8): "uint64",
    ("f", 2): "float16", ("f", 4): "float32", ("f", 8): "float64",
    ("c", 8): "complex64", ("c", 16): "complex128",
}  # fmt: skip


_CODE = re.compile(r"[biufcSUVMmO?][0-9]{0,9}")
"""What `dtype.str` spells; `numpy.dtype` itself also reads `i4,O`, a structure with objects in it."""

MAX_NESTING = 8
OBJECT_FLAGS = 0x0F
"""`NPY_ITEM_REFCOUNT` and its kin (`numpy/ndarraytypes.h`): elements that are pointers."""


@dataclass(slots=True, eq=False)
class NumpyDType:
    """`numpy.dtype('f4')`: a kind, a size, and a byte order that arrives with its state.

    Attributes:
        code: kind and bytes an element, `f4`.
        order: `<`, `>`, `=` or `|`.
        state: what NumPy itself would pickle for it, each part checked; None for a plain number.
        nesting: how many structures deep it is.
    """

    code: str
    order: str = "|"
    state: tuple[Any, ...] | None = None
    nesting: int = 0

    def set_pickled_state(self, state: Any) -> None:
        """`(version, byte order, subarray, names, fields, size, alignment, ...)`."""
        if not (isinstance(state, tuple) and len(state) >= 5 and state[1] in ("<", ">", "|", "=")):
            raise _never_written("dtype")
        self.order = state[1]
        self.state = self._checked(*state[2:9])

    def _checked(
        self,
        subarray: Any,
        names: Any,
        fields: Any,
        size: Any = -1,
        alignment: Any = -1,
        flags: Any = 0,
        metadata: Any = None,
    ) -> tuple[Any, ...] | None:
        """The state to pass on. NumPy believes it: a size, offset or flag from a hostile file would let the
        program that loads our output read any memory (`arraydescr_setstate`): nothing goes on unchecked."""
        kind = self.code[:1]
        if subarray is None and names is None and fields is None:
            if kind in ("M", "m") and metadata is not None:
                return (4, self.order, None, None, None, -1, -1, 0, ({}, _date_unit(metadata)))
            if kind in ("S", "U", "V"):
                rest = (4, 8) if kind == "U" else (1, 0)
                return (3, self.order, None, None, None, self.itemsize, *rest)
            return None
        counts = type(alignment) is int and 0 < alignment <= 64 and type(flags) is int and 0 <= flags < 256
        if kind != "V" or size != self.itemsize or not counts or flags & OBJECT_FLAGS:
            raise _never_written("dtype")
        if subarray is not None:
            subarray = self._checked_subarray(subarray)
        if names is not None:
            fields = self._checked_fields(names, fields)
        return (3, self.order, subarray, names, fields, size, alignment, flags)

    def _checked_subarray(self, subarray: Any) -> tuple[NumpyDType, tuple[int, ...]]:
        if not (isinstance(subarray, tuple) and len(subarray) == 2 and isinstance(subarray[0], NumpyDType)):
            raise _never_written("dtype")
        base, shape = subarray[0].frozen(), subarray[1]
        self.nesting = base.nesting + 1
        shape = (shape,) if type(shape) is int else shape
        check_array_shape(shape)
        if math.prod(shape) * base.itemsize != self.itemsize:
            raise _never_written("dtype")
        return base, shape

    def _checked_fields(self, names: Any, fields: Any) -> dict[str, tuple[NumpyDType, int]]:
        named = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
        if not named or not isinstance(fields, dict) or any(name not in fields for name in names):
            raise _never_written("dtype")
        checked = {}
        for name in names:
            field = fields[name]
            if not (isinstance(field, tuple) and len(field) >= 2 and isinstance(field[0], NumpyDType)):
                raise _never_written("dtype")
            inner, offset = field[0].frozen(), field[1]
            if type(offset) is not int or not 0 <= offset <= self.itemsize - inner.itemsize:
                raise _never_written("dtype")
            self.nesting = max(self.nesting, inner.nesting + 1)
            checked[name] = (inner, offset)
        return checked

    def frozen(self) -> NumpyDType:
        """A copy that the stream can't change any more, of a dtype whose elements are no Python objects."""
        if self.code[0] not in PLAIN_KINDS or self.nesting > MAX_NESTING:
            raise _never_written("dtype")
        return NumpyDType(self.code, self.order, self.state, self.nesting)

    @property
    def itemsize(self) -> int:
        """Bytes an element; text counts four a character."""
        digits = self.code[1:]
        known = digits.isascii() and digits.isdecimal() and len(digits) < 10
        return int(digits) * (4 if self.code[0] == "U" else 1) if known else 0

    def call(self) -> PickledCall:
        """The call that makes NumPy's own dtype, for a stream that OneFlow's Python reads."""
        state = self.state or (3, self.order, None, None, None, -1, -1, 0)
        return PickledCall(Name("numpy.dtype"), (self.code, False, True), state)


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
        check_array_shape(shape)
        if isinstance(data, str):  # Python 2 wrote str where Python 3 has bytes
            data = data.encode("latin1")
        if isinstance(data, list):
            self.shape, self.objects = shape, data
            return
        if not isinstance(dtype, NumpyDType) or not isinstance(data, bytes | bytearray | memoryview):
            raise _never_written("array")
        self.check_length(dtype, shape, data)
        self.dtype, self.shape, self.fortran, self.data = dtype.frozen(), shape, bool(fortran), data

    @staticmethod
    def check_length(dtype: NumpyDType, shape: tuple[int, ...], data: Any) -> None:
        """Refuses bytes that are not as many as shape and dtype say."""
        if dtype.code[0] not in PLAIN_KINDS or math.prod(shape) * dtype.itemsize != len(data):
            raise FormatError(f"A NumPy array of dtype {dtype.code[:20]} does not hold what its shape says.")

    @property
    def is_numbers(self) -> bool:
        """Whether it is an array, not a scalar, of a type that a tensor has."""
        return not self.scalar and self.objects is None and (self.dtype.code[0], self.dtype.itemsize) in _BY_CODE

    def as_tensor(self) -> TensorRef:
        """The same numbers as a tensor.

        Raises:
            FormatError: they are text or another type that no tensor has.
        """
        name = _BY_CODE.get((self.dtype.code[0], self.dtype.itemsize))
        if name is None:
            raise FormatError(f"A NumPy array of dtype {self.dtype.code[:20]} is no tensor.")
        stride = contiguous_stride(self.shape[::-1])[::-1] if self.fortran else contiguous_stride(self.shape)
        storage = Storage("numpy", len(self.data), data=self.data, big_endian=self.dtype.order == ">")
        return TensorRef(DTYPES[name], self.shape, stride, 0, storage)

    def call(self) -> PickledCall:
        """The call that makes NumPy's own array or scalar; named as NumPy 1 and 2 both know it."""
        if self.scalar:
            return PickledCall(Name("numpy.core.multiarray.scalar"), (self.dtype.call(), self.data))
        new = PickledCall(Name("numpy.core.multiarray._reconstruct"), (Name("numpy.ndarray"), (0,), b"b"))
        new.state = (1, self.shape, self.dtype.call(), self.fortran, self.data)
        return new


def _never_written(what: str) -> FormatError:
    return FormatError(
        f"A NumPy {what} inside the file has a state that NumPy never wrote.",
        maybe="the file is damaged, or was made to attack the program that loads it",
    )


def check_array_shape(shape: Any) -> None:
    """Refuses a shape that no array has.

    Raises:
        FormatError: it is no tuple of a few counts.
    """
    if not (
        isinstance(shape, tuple)
        and len(shape) <= MAX_DIMENSIONS
        and all(type(n) is int and 0 <= n < 1 << 62 for n in shape)
    ):
        raise _never_written("array")


def _date_unit(metadata: Any) -> tuple[bytes | str, int, int, int]:
    """`(b"ns", 1, 1, 1)` of `({}, (b"ns", 1, 1, 1))`: a date's unit and how many of them it counts by."""
    unit = metadata[1] if isinstance(metadata, tuple) and len(metadata) == 2 else None
    if not (
        isinstance(unit, tuple)
        and len(unit) == 4
        and isinstance(unit[0], str | bytes)
        and len(unit[0]) < 10
        and all(type(n) is int and 0 < n < 1 << 31 for n in unit[1:])
    ):
        raise _never_written("date")
    return unit


def _dtype(machine: Machine, code: Any, align: Any = False, copy: Any = False) -> NumpyDType:
    text = code.decode("ascii") if isinstance(code, bytes) else code
    if not isinstance(text, str) or not _CODE.fullmatch(text):
        raise _never_written("dtype")
    return NumpyDType(text)


def _reconstruct(machine: Machine, kind: Any, shape: Any, code: Any) -> Any:
    if getattr(kind, "name", "") != "numpy.ndarray":
        return machine.unknown(label(kind), (shape, code))
    return NumpyArray(NumpyDType("b1"))


def _scalar(machine: Machine, dtype: Any, data: Any = b"") -> Any:
    if isinstance(data, str):
        machine.spend(len(data))
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(dtype, NumpyDType) or not isinstance(raw, bytes) or dtype.code[0] not in PLAIN_KINDS:
        return machine.unknown("numpy.core.multiarray.scalar", (dtype, data))
    NumpyArray.check_length(dtype, (), raw)
    return NumpyArray(dtype.frozen(), (), raw, scalar=True)


def _frombuffer(machine: Machine, data: Any, dtype: Any, shape: Any, order: Any = "C") -> NumpyArray:
    """How protocol 5 spells an array (`numpy/core/numeric.py`)."""
    array = NumpyArray(NumpyDType("b1"))
    array.set_pickled_state((shape, dtype, order == "F", data))
    return array


ARRAY_CONSTRUCTORS: dict[str, Constructor] = {"numpy.dtype": _dtype}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    ARRAY_CONSTRUCTORS[f"{_module}._reconstruct"] = _reconstruct
    ARRAY_CONSTRUCTORS[f"{_module}.scalar"] = _scalar
for _module in ("numpy.core.numeric", "numpy._core.numeric"):
    ARRAY_CONSTRUCTORS[f"{_module}._frombuffer"] = _frombuffer
