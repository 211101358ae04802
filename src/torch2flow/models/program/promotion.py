"""PyTorch's type promotion: the dtype in which an operator on mixed operands computes.

Follows `c10/core/ScalarType.cpp` and `aten/src/ATen/native/TypeProperties.cpp`: tensors with dimensions count before
0-dim tensors, and those before Python numbers, unless the later ones are of a higher kind (bool, integer, floating).

    >>> common_dtype([("int64", 2), ("float", None)])
    'float32'
    >>> common_dtype([("float16", 2), ("float32", 0)])
    'float16'
"""

from __future__ import annotations

from collections.abc import Iterable

_KINDS = {"bool": 0, "float": 2, "int": 1}
_INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
_FLOATS = ["float16", "bfloat16", "float32", "float64"]
_DEFAULTS = {"bool": "bool", "int": "int64", "float": "float32"}


def kind(dtype: str) -> int:
    """0 for bool, 1 for integers, 2 for floating; also of Python's own `bool`, `int`, `float`."""
    if dtype in _KINDS:
        return _KINDS[dtype]
    return 1 if "int" in dtype else 2


def common_dtype(operands: Iterable[tuple[str, int | None]]) -> str:
    """The common dtype of operands, each a dtype and its number of dimensions; None for a Python number."""
    classes: list[str] = ["", "", ""]
    for dtype, ndim in operands:
        place = 2 if ndim is None else 1 if ndim == 0 else 0
        classes[place] = _wider(classes[place], dtype)
    result = ""
    for place, dtype in enumerate(classes):
        if dtype and (not result or kind(dtype) > kind(result)):
            result = _DEFAULTS.get(dtype, dtype) if place == 2 else _wider(result, dtype)
    return result


def _wider(left: str, right: str) -> str:
    if not left or left == right:
        return right
    if kind(left) != kind(right):
        return left if kind(left) > kind(right) else right
    if {left, right} == {"float16", "bfloat16"}:
        return "float32"
    if {left, right} == {"uint8", "int8"}:
        return "int16"
    order = _FLOATS if left in _FLOATS else _INTEGERS
    if left not in order or right not in order:
        return right
    return max(left, right, key=order.index)
