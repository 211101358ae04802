"""Tensors and arrays that lie: shapes, strides, offsets, dtypes, parts."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

import struct
from pathlib import Path

from . import attack
from .build import (
    call,
    dict_of,
    get,
    list_of,
    name,
    number,
    numbers,
    put,
    storage,
    tensor,
    text,
    torch_zip,
    tuple_of,
)

BEYOND = "lies outside its storage"
WRONG = "operand of the wrong kind"
NEVER = "a state that NumPy never wrote"
V2 = "torch._utils._rebuild_tensor_v2"
MAX = (1 << 63) - 1


def _rebuild(shape: bytes, stride: bytes, offset: bytes = number(0), data: bytes | None = None) -> bytes:
    hooks = call("collections.OrderedDict")
    return call(V2, storage() if data is None else data, offset, shape, stride, b"\x89", hooks)


def _meta(shape: bytes, dtype: bytes = name("torch.float32")) -> bytes:
    return call("torch._utils._rebuild_meta_tensor_no_storage", dtype, shape, numbers((1,)), b"\x89")


def _array(dtype: bytes, shape: bytes, data: bytes, state: bytes | None = None) -> bytes:
    made = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), tuple_of(number(0)), text("b"))
    state = tuple_of(number(1), shape, dtype, b"\x89", data) if state is None else state
    return made + state + b"b"


def _dtype(code: str, state: bytes = b"") -> bytes:
    return call("numpy.dtype", text(code), b"\x89", b"\x88") + state


def structured_state(field: bytes, offset: int, flags: int = 0, size: int = 16) -> bytes:
    """The state of a dtype with one field `a`."""
    fields = dict_of((text("a"), tuple_of(field, number(offset))))
    names = tuple_of(text("a"))
    return tuple_of(number(3), text("|"), b"N", names, fields, number(size), number(1), number(flags))


def structured(field: bytes, offset: int, flags: int = 0, size: int = 16) -> bytes:
    """An array of sixteen bytes of a dtype with one field."""
    dtype = _dtype("V16", structured_state(field, offset, flags, size) + b"b")
    return _array(dtype, numbers((1,)), SIXTEEN)


def nested_dtype(levels: int) -> bytes:
    """Structures of one field that is a structure."""
    dtype = _dtype("V16")
    for _ in range(levels):
        dtype = _dtype("V16", structured_state(dtype, 0) + b"b")
    return dtype


SIXTEEN = b"B\x10\x00\x00\x00" + bytes(16)

LIES = {
    "shape_too_large": (tensor((5,)), BEYOND, "Five elements of a storage of four."),
    "shape_negative": (tensor((-4,)), BEYOND, "A negative size."),
    "shape_overflows_int64": (tensor((1 << 32, 1 << 32), (0, 0)), "absurd", "2**64 elements, which is 0 in int64."),
    "shape_zero_times_huge": (tensor((0, 1 << 61, 8), (1, 1, 1)), "absurd", "Zero elements, but an overflow on the way."),
    "shape_of_100_000_dimensions": (
        tensor((1,) * 100_000, (1,) * 100_000),
        "100000 dimensions",
        "A hundred thousand dimensions of one.",
    ),
    "shape_of_33_dimensions": (tensor((1,) * 33, (1,) * 33), "33 dimensions", "More dimensions than NumPy 1 can hold."),
    "shape_of_booleans": (_rebuild(tuple_of(b"\x88"), numbers((1,))), BEYOND, "True for a size."),
    "shape_of_floats": (_rebuild(tuple_of(b"G" + struct.pack(">d", 4)), numbers((1,))), BEYOND, "4.0 for a size."),
    "shape_of_nan": (
        _rebuild(tuple_of(b"G" + struct.pack(">d", float("nan"))), numbers((1,))),
        BEYOND,
        "NaN for a size: every comparison with it is false.",
    ),
    "shape_of_huge_integers": (
        _rebuild(tuple_of(*[number(1 << 2000)] * 30), numbers((1,) * 30)),
        BEYOND,
        "Sizes of two thousand bits.",
    ),
    "shape_of_text": (_rebuild(text("4"), numbers((1,))), BEYOND, "Text for a shape."),
    "shape_of_nothing": (_rebuild(b"N", numbers((1,))), WRONG, "None for a shape."),
    "shape_without_strides": (tensor((2, 2), (1,)), BEYOND, "Fewer strides than dimensions."),
    "stride_too_large": (tensor((2, 2), (3, 1)), BEYOND, "A stride that leaves the storage."),
    "stride_negative": (tensor((4,), (-1,)), BEYOND, "A negative stride."),
    "stride_overflows_int64": (tensor((2,), (1 << 62,)), BEYOND, "A stride whose bytes overflow int64."),
    "stride_huge_but_unused": (
        tensor((1, 0, 4), ((1 << 62) - 1,) * 3),
        None,
        "Huge strides of dimensions that are never stepped.",
    ),
    "stride_huge_of_one_element": (tensor((1, 4), ((1 << 62) - 1, 1)), None, "A huge stride of a dimension of one."),
    "offset_beyond": (tensor((4,), (1,), 1), BEYOND, "An offset that moves the end out."),
    "offset_negative": (tensor((2,), (1,), -2), BEYOND, "A negative offset: what lies before the storage."),
    "offset_overflows_int64": (tensor((1,), (1,), MAX), BEYOND, "Offset 2**63-1."),
    "offset_of_text": (_rebuild(numbers((4,)), numbers((1,)), text("0")), WRONG, "Text for an offset."),
    "offset_beyond_of_nothing": (tensor((0,), (1,), 1 << 50), None, "A far offset of a tensor without elements."),
    "numel_of_a_terabyte": (
        tensor((1 << 40,), data=storage(numel=1 << 40)),
        "should hold 1099511627776 elements",
        "The persistent id claims 2**40 elements, the record has 16 bytes: torch 1.13 believes it.",
    ),
    "numel_negative": (tensor(data=storage(numel=-4)), "should hold -4 elements", "A storage of -4 elements."),
    "numel_of_text": (
        tuple_of(text("storage"), name("torch.FloatStorage"), text("0"), text("cpu"), text("4")) + b"Q",
        "no storage",
        "Text for a number of elements.",
    ),
    "storage_missing": (tensor(data=storage("7")), "is missing from the archive", "A storage without a record."),
    "storage_key_traversal": (
        tensor(data=storage("../../../../etc/passwd")),
        "is missing from the archive",
        "A storage named `../../../../etc/passwd`.",
    ),
    "storage_key_absolute": (
        tensor(data=storage("/etc/passwd")),
        "is missing from the archive",
        "A storage named `/etc/passwd`.",
    ),
    "storage_key_of_a_list": (
        tensor(data=storage(list_of(text("0")))),
        "refers to something that is no storage",
        "A list for a storage's key.",
    ),
    "storage_of_unknown_class": (
        storage(kind="torch.Float7Storage"),
        "an unknown kind of storage",
        "A storage class that PyTorch never had.",
    ),
    "storage_of_foreign_class": (
        storage(kind="evil.FloatStorage"),
        "an unknown kind of storage",
        "A storage class of another library.",
    ),
    "tensor_of_a_number": (_rebuild(numbers((4,)), numbers((1,)), data=number(4)), "no storage", "A tensor over 4."),
    "tensor_of_a_tensor": (
        _rebuild(numbers((4,)), numbers((1,)), data=tensor()),
        "no storage",
        "A tensor over a tensor.",
    ),
    "too_few_arguments": (call(V2, storage()), WRONG, "`_rebuild_tensor_v2` with one argument."),
    "dtype_unknown": (
        call("torch._utils._rebuild_tensor_v3", storage(kind="torch.storage.UntypedStorage", numel=16), number(0), numbers((4,)), numbers((1,)), b"\x89", b"N", name("torch.float7")),
        "an unknown element type",
        "A dtype that PyTorch never had.",
    ),
    "dtype_of_a_number": (_meta(numbers((4,)), number(6)), "an unknown element type", "A number for a dtype."),
    "meta_shape_absurd": (_meta(numbers((1 << 62, 1 << 62))), "absurd", "A meta tensor of 2**124 elements."),
    "meta_shape_negative": (_meta(numbers((-1,))), "absurd", "A meta tensor of -1 elements."),
    "meta_shape_of_text": (_meta(text("abc")), "absurd", "A meta tensor whose shape is text."),
    "expanded_to_2_60": (
        dict_of((text("w"), tensor((1 << 58,), (0,)))),
        None,
        "16 bytes expanded to 2**60 bytes: sound, and no disk holds it.",
    ),
    "expanded_and_conjugated": (
        call(V2, storage(kind="torch.ComplexFloatStorage", numel=2), number(0), numbers((1 << 40,)), numbers((0,)), b"\x89", b"N", dict_of((text("conj"), b"\x88"))),
        None,
        "The same, conjugated: an array of it would have to be a copy.",
    ),
    "sparse_of_numbers": (
        call("torch._utils._rebuild_sparse_tensor", name("torch.sparse_coo"), tuple_of(number(1), number(2), numbers((3,)))),
        "something that is no tensor",
        "A sparse tensor whose parts are numbers.",
    ),
    "sparse_of_too_few": (
        call("torch._utils._rebuild_sparse_tensor", name("torch.sparse_coo"), tuple_of(tensor())),
        "has parts that PyTorch never wrote",
        "A sparse tensor of one part.",
    ),
    "sparse_shape_absurd": (
        call("torch._utils._rebuild_sparse_tensor", name("torch.sparse_coo"), tuple_of(tensor(), tensor(), numbers((1 << 62, 1 << 62)))),
        "absurd",
        "A sparse tensor of 2**124 elements.",
    ),
    "quantizer_of_nothing": (
        call("torch._utils._rebuild_qtensor", storage(), number(0), numbers((4,)), numbers((1,)), b")"),
        "has a quantizer that PyTorch never wrote",
        "A quantized tensor without a quantizer.",
    ),
    "quantizer_of_one": (
        call("torch._utils._rebuild_qtensor", storage(), number(0), numbers((4,)), numbers((1,)), tuple_of(name("torch.per_tensor_affine"))),
        "has a quantizer that PyTorch never wrote",
        "A quantizer without a scale.",
    ),
    "nested_of_numbers": (
        call("torch._utils._rebuild_nested_tensor", number(1), number(2), number(3), number(4)),
        "no tensor",
        "A nested tensor whose parts are numbers.",
    ),
    "parameter_of_a_number": (
        call("torch._utils._rebuild_parameter", number(1), b"\x88", b"N"),
        None,
        "A parameter of a number.",
    ),
    "numpy_shape_absurd": (
        _array(_dtype("f4"), numbers((1 << 62, 1 << 62)), SIXTEEN),
        NEVER,
        "An array of 2**124 elements in 16 bytes.",
    ),
    "numpy_shape_negative": (
        _array(_dtype("f4"), numbers((-2, -2)), SIXTEEN),
        NEVER,
        "Negative sizes whose product is positive.",
    ),
    "numpy_shape_of_100_000_dimensions": (
        _array(_dtype("f4"), numbers([1 << 1000] * 100_000), SIXTEEN),
        NEVER,
        "A product of a hundred million bits.",
    ),
    "numpy_data_too_short": (
        _array(_dtype("f8"), numbers((4,)), SIXTEEN),
        "does not hold what its shape says",
        "16 bytes for four doubles.",
    ),
    "numpy_itemsize_absurd": (
        _array(_dtype("S9999999999999"), numbers((1,)), SIXTEEN),
        NEVER,
        "Text of ten terabytes an element.",
    ),
    "numpy_itemsize_superscript": (
        _array(_dtype("f²"), numbers((4,)), SIXTEEN),
        NEVER,
        "A digit that `isdigit` takes and `int` does not.",
    ),
    "numpy_dtype_empty": (_array(_dtype(""), numbers((4,)), SIXTEEN), NEVER, "A dtype without a name."),
    "numpy_dtype_of_objects_inside": (
        structured(_dtype("O8"), 0),
        NEVER,
        "A structured dtype whose field is an object: the bytes of the array would be taken for a pointer.",
    ),
    "numpy_dtype_field_outside": (
        structured(_dtype("f4"), 1 << 40),
        NEVER,
        "A structured dtype whose field lies a terabyte further: NumPy would read there.",
    ),
    "numpy_dtype_field_before": (
        structured(_dtype("f4"), -64),
        NEVER,
        "A structured dtype whose field lies before the array.",
    ),
    "numpy_dtype_field_too_large": (
        structured(_dtype("S1000"), 0),
        NEVER,
        "A structured dtype whose field is longer than it.",
    ),
    "numpy_dtype_flag_of_objects": (
        structured(_dtype("f4"), 0, flags=63),
        NEVER,
        "A structured dtype whose flags say that it holds objects.",
    ),
    "numpy_dtype_size_differs": (
        structured(_dtype("f4"), 0, size=1 << 40),
        NEVER,
        "A dtype that is named V16 and says that it is a terabyte.",
    ),
    "numpy_dtype_field_of_nothing": (structured(b"N", 0), NEVER, "A structured dtype whose field is None."),
    "numpy_dtype_nested_deep": (
        nested_dtype(50),
        NEVER,
        "A structured dtype in a structured dtype, fifty levels deep.",
    ),
    "numpy_dtype_subarray_huge": (
        _dtype("V16", tuple_of(number(3), text("|"), tuple_of(_dtype("f4"), numbers((1 << 60,))), b"N", b"N", number(16), number(1), number(0)) + b"b"),
        NEVER,
        "A dtype of 2**60 floats in sixteen bytes.",
    ),
    "numpy_dtype_list_of_types": (
        _dtype("i4,O"),
        NEVER,
        "`numpy.dtype('i4,O')` is a structure with objects in it.",
    ),
    "numpy_dtype_changed_later": (
        _dtype("V4") + put(5) + b"0" + _array(get(5), numbers((4,)), SIXTEEN) + get(5) + structured_state(_dtype("O8"), 0) + b"b0",
        NEVER,
        "A dtype that becomes one of objects after an array was checked with it.",
    ),
    "numpy_date_unit_absurd": (
        _dtype("M8", tuple_of(number(4), text("<"), b"N", b"N", b"N", number(-1), number(-1), number(0), tuple_of(b"}", tuple_of(text("ns"), number(0), number(-1), number(1)))) + b"b"),
        NEVER,
        "A date that counts by zero nanoseconds.",
    ),
    "numpy_dtype_state_short": (
        _dtype("f4", tuple_of(number(3)) + b"b"),
        NEVER,
        "A dtype with half a state.",
    ),
    "numpy_dtype_state_order": (
        _dtype("f4", tuple_of(number(3), text("x"), b"N", b"N", b"N", number(-1), number(-1), number(0)) + b"b"),
        NEVER,
        "A byte order that does not exist.",
    ),
    "numpy_dtype_state_negative": (
        _dtype("f4", tuple_of(number(3), text("<"), b"N", b"N", b"N", number(-(1 << 62)), number(-5), number(-1)) + b"b"),
        None,
        "Negative size and alignment, which NumPy's own dtype would believe.",
    ),
    "numpy_state_of_nothing": (_array(b"N", b"N", b"N", b"N"), WRONG, "An array with None for a state."),
    "numpy_state_short": (_array(b"N", b"N", b"N", tuple_of(number(1))), WRONG, "An array with half a state."),
    "numpy_frombuffer_of_a_number": (
        call("numpy.core.numeric._frombuffer", number(1 << 40), _dtype("u1"), numbers((1 << 40,)), text("C")),
        NEVER,
        "`bytes(2**40)` is a terabyte of zeros.",
    ),
}  # fmt: skip

CONVERT = {"expanded_to_2_60": (5,), "expanded_and_conjugated": (4,)}
"""No disk holds the one, OneFlow no complex numbers."""

for _name, (_body, _refused, _tries) in LIES.items():

    def _write(folder: Path, body: bytes = _body) -> Path:
        path = folder / "model.pth"
        path.write_bytes(torch_zip(body))
        return path

    attack(refused=_refused, convert=CONVERT.get(_name, (0,)), name=_name, tries=_tries)(_write)
