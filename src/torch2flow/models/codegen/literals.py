"""Values as Python expressions."""

from __future__ import annotations

import ast
import math
from typing import Any

from torch2flow.models.program import Dtype, Symbol

DTYPES = {"int16": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}
"""Element types OneFlow 0.9.0 lacks, and the one that holds their values."""

UNIFORM = {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"}
"""Arguments for which `2` says the same as `(2, 2)`."""


class Constant(ast.Constant):
    """A constant of a statement that may differ between modules of one class.

    It has the name of its base class, by which `ast.unparse` and `ast.dump` choose what to do.

    Attributes:
        hint: what the value is: the name of the constructor's argument that it may become.
        varies: whether it may differ though it is no number.
    """

    hint: str
    varies: bool

    def __init__(self, value: Any = None, hint: str = "", varies: bool = False) -> None:
        super().__init__(value)
        self.hint, self.varies = hint, varies


def dtype_name(name: str) -> str:
    """OneFlow's name of an element type."""
    return DTYPES.get(name, name)


def literal(value: Any, hint: str = "") -> ast.expr:
    """A value as an expression; each number remembers in `hint` what it is: the name of a parameter it may become."""
    if isinstance(value, Dtype):
        return attribute("flow", dtype_name(value.name))
    if isinstance(value, Symbol):
        return ast.Constant(value.name)
    if isinstance(value, list | tuple):
        return ast.Tuple([item if isinstance(item, ast.expr) else literal(item, hint) for item in value], ast.Load())
    if isinstance(value, float) and not math.isfinite(value):
        return ast.Call(ast.Name("float", ast.Load()), [ast.Constant(str(value))], [])
    return Constant(value, hint)


def attribute(*names: str) -> ast.expr:
    """`attribute("flow", "float32")` is the expression `flow.float32`."""
    expression: ast.expr = ast.Name(names[0], ast.Load())
    for name in names[1:]:
        expression = ast.Attribute(expression, name, ast.Load())
    return expression


_END = 2**63 - 1
"""What PyTorch records for a slice without an end (`sys.maxsize`)."""


def slice_of(start: ast.expr, end: ast.expr, step: ast.expr) -> ast.expr:
    """`start:end:step`, without what says nothing."""

    def part(node: ast.expr, *nothing: Any) -> ast.expr | None:
        return None if isinstance(node, ast.Constant) and node.value in nothing else node

    return ast.Slice(part(start, None, 0), part(end, None, _END), part(step, None, 1))
