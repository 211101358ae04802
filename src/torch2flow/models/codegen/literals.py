"""Values as Python expressions, and back where an expression is constant."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from torch2flow.models.lowering.lazy import is_float
from torch2flow.models.program import Dtype, Symbol

DTYPES = {"int16": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}
"""Element types OneFlow 0.9.0 lacks, and the one that holds their values."""

UNIFORM = {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"}
"""Arguments for which `2` says the same as `(2, 2)`."""


class NotConstantError(ValueError):
    """The value is known only when the model runs."""


class Unknown:
    """A tensor, while rules are evaluated: not None, and no number."""


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
    constant = ast.Constant(value)
    constant.hint = hint  # type: ignore[attr-defined]
    return constant


def attribute(*names: str) -> ast.expr:
    """`attribute("flow", "float32")` is the expression `flow.float32`."""
    expression: ast.expr = ast.Name(names[0], ast.Load())
    for name in names[1:]:
        expression = ast.Attribute(expression, name, ast.Load())
    return expression


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv, ast.Mod: operator.mod, ast.Pow: lambda left, right: _power(left, right),
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right, ast.NotIn: lambda left, right: left not in right,
    ast.USub: operator.neg, ast.Not: operator.not_, ast.UAdd: operator.pos,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len, "max": max, "min": min, "sum": sum, "all": all, "any": any, "abs": abs, "int": int, "float": float,
    "bool": bool, "tuple": tuple, "list": list, "set": set, "sorted": sorted, "range": range, "isinstance": isinstance,
    "round": round, "math.sqrt": math.sqrt, "is_float": is_float, "reversed": lambda value: tuple(reversed(value)),
}  # fmt: skip
_TYPES = {"int": int, "float": float, "bool": bool, "str": str, "tuple": tuple, "list": tuple, "complex": complex}


def evaluate(node: ast.expr, names: dict[str, ast.expr] | None = None) -> Any:
    """The value of a constant expression, names replaced by what `names` gives for them.

    Raises:
        NotConstantError: it depends on a tensor or on a size known only at run time.
    """
    names = names or {}
    match node:
        case ast.Constant():
            return node.value
        case ast.Tuple() | ast.List():
            values: list[Any] = []
            for item in node.elts:
                if isinstance(item, ast.Starred):
                    values += evaluate(item.value, names)
                else:
                    values.append(evaluate(item, names))
            return tuple(values)
        case ast.Name() if node.id in names:
            given = names[node.id]
            return Unknown() if is_tensor(given) else evaluate(given)
        case ast.Name() if node.id in _TYPES:
            return _TYPES[node.id]
        case ast.Attribute(value=ast.Name(id="flow" | "math")):
            return {"math.inf": math.inf, "math.pi": math.pi}.get(ast.unparse(node), ast.unparse(node))
        case ast.UnaryOp():
            return _apply(_OPERATORS.get(type(node.op)), evaluate(node.operand, names))
        case ast.BinOp():
            return _apply(_OPERATORS.get(type(node.op)), evaluate(node.left, names), evaluate(node.right, names))
        case ast.BoolOp():
            return _boolean(node, names)
        case ast.Compare(
            left=ast.Name(id=name), ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(None)]
        ) if isinstance(names.get(name), ast.Tuple | ast.List | ast.BinOp | ast.Subscript):
            return isinstance(op, ast.IsNot)  # Sizes known only at run time are not None.
        case ast.Call(
            func=ast.Name(id="isinstance"), args=[ast.Name(id=name), ast.Name(id="bool" | "str" | "tuple" | "list")]
        ) if isinstance(names.get(name), ast.BinOp | ast.Subscript) and not is_tensor(names[name]):
            return False  # They are numbers.
        case ast.Compare():
            return _compare(node, names)
        case ast.IfExp():
            return evaluate(node.body if evaluate(node.test, names) else node.orelse, names)
        case ast.Subscript():
            return _apply(operator.getitem, evaluate(node.value, names), _index(node.slice, names))
        case ast.Call(func=ast.Name() | ast.Attribute(), keywords=[]) if ast.unparse(node.func) in _FUNCTIONS:
            function = _FUNCTIONS[ast.unparse(node.func)]
            return _apply(function, *[evaluate(item, names) for item in node.args])
        case ast.GeneratorExp(generators=[ast.comprehension(target=ast.Name(id=name), ifs=[]) as loop]):
            return tuple(evaluate(node.elt, {**names, name: literal(item)}) for item in evaluate(loop.iter, names))
    raise NotConstantError(ast.unparse(node))


def _apply(function: Callable[..., Any] | None, *values: Any) -> Any:
    if function is None or (function is not isinstance and any(isinstance(value, Unknown) for value in values)):
        if function in (operator.is_, operator.is_not):
            return function(*values)
        raise NotConstantError("a tensor")
    try:
        return function(*values)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise NotConstantError(str(error)) from None


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, int) and abs(exponent) > 64:
        raise ValueError("too large to work out")  # The numbers come from a file.
    return base**exponent


def _boolean(node: ast.BoolOp, names: dict[str, ast.expr]) -> Any:
    stop = isinstance(node.op, ast.Or)
    result: Any = not stop
    for item in node.values:
        result = evaluate(item, names)
        if isinstance(result, Unknown):
            raise NotConstantError("a tensor")
        if bool(result) is stop:
            break
    return result


def _compare(node: ast.Compare, names: dict[str, ast.expr]) -> bool:
    left = evaluate(node.left, names)
    for op, item in zip(node.ops, node.comparators, strict=True):
        right = evaluate(item, names)
        if not _apply(_OPERATORS[type(op)], left, right):
            return False
        left = right
    return True


def _index(node: ast.expr, names: dict[str, ast.expr]) -> Any:
    if isinstance(node, ast.Slice):
        return slice(*[None if part is None else evaluate(part, names) for part in (node.lower, node.upper, node.step)])
    return evaluate(node, names)


def is_tensor(node: ast.expr) -> bool:
    """Whether an expression was marked as a tensor."""
    return getattr(node, "tensor", False)


def tensor(node: ast.expr) -> ast.expr:
    """Marks an expression as a tensor."""
    node.tensor = True  # type: ignore[attr-defined]
    return node


_END = 2**63 - 1
"""What PyTorch records for a slice without an end (`sys.maxsize`)."""


def slice_of(start: ast.expr, end: ast.expr, step: ast.expr) -> ast.Slice:
    """`start:end:step`, without what says nothing."""

    def part(node: ast.expr, *nothing: Any) -> ast.expr | None:
        return None if isinstance(node, ast.Constant) and node.value in nothing else node

    return ast.Slice(part(start, None, 0), part(end, None, _END), part(step, None, 1))
