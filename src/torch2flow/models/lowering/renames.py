"""Operators that OneFlow has under a name of its own and with the same arguments: one row each."""

from __future__ import annotations

RENAMES: dict[str, str] = {
    "aten.abs": "flow.abs",
    "aten.absolute": "flow.abs",
    "aten.relu": "F.relu",
    "aten.silu": "F.silu",
    "aten.selu": "F.selu",
    "aten.hardswish": "F.hardswish",
    "aten.hardsigmoid": "F.hardsigmoid",
}
"""From an operator to the OneFlow function that is called with the same arguments, tensors by position."""

FLOAT_RENAMES: dict[str, str] = {
    "aten.exp": "flow.exp",
    "aten.expm1": "flow.expm1",
    "aten.log": "flow.log",
    "aten.log2": "flow.log2",
    "aten.log10": "flow.log10",
    "aten.log1p": "flow.log1p",
    "aten.sqrt": "flow.sqrt",
    "aten.rsqrt": "flow.rsqrt",
    "aten.reciprocal": "flow.reciprocal",
    "aten.sin": "flow.sin",
    "aten.cos": "flow.cos",
    "aten.tan": "flow.tan",
    "aten.asin": "flow.asin",
    "aten.arcsin": "flow.asin",
    "aten.acos": "flow.acos",
    "aten.arccos": "flow.acos",
    "aten.atan": "flow.atan",
    "aten.arctan": "flow.atan",
    "aten.sinh": "flow.sinh",
    "aten.cosh": "flow.cosh",
    "aten.tanh": "flow.tanh",
    "aten.asinh": "flow.asinh",
    "aten.arcsinh": "flow.asinh",
    "aten.acosh": "flow.acosh",
    "aten.arccosh": "flow.acosh",
    "aten.atanh": "flow.atanh",
    "aten.arctanh": "flow.atanh",
    "aten.sigmoid": "flow.sigmoid",
    "aten.special_expit": "flow.sigmoid",
    "aten.erf": "flow.erf",
    "aten.special_erf": "flow.erf",
    "aten.erfc": "flow.erfc",
    "aten.special_erfc": "flow.erfc",
}
"""The same for functions that make floats of integers: an argument of integers or bool becomes float32 first."""
