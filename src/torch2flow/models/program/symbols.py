"""Sizes that are not known until the model runs: integer expressions over symbols, read without evaluating them.

    >>> str(parse("Mul(Integer(49), Symbol('s77', positive=True, integer=True))"))
    '49 * s77'
    >>> str(parse("s0 + 1"))
    's0 + 1'

PyTorch writes `sympy.srepr` since 2.6 and plain expressions before (`torch/_export/serde/serialize.py`).
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from functools import reduce

from torch2flow.errors import FormatError
from torch2flow.models.program.budget import LARGEST
from torch2flow.models.program.identifiers import is_identifier

_BINARY = {"Add": ast.Add, "Mul": ast.Mult, "Pow": ast.Pow, "Mod": ast.Mod, "PythonMod": ast.Mod}
_FLOOR = {"FloorDiv", "CleanDiv", "IntTrueDiv"}
_ROUNDED = {"CeilToInt", "FloorToInt"}
"""Of a quotient, which is `IntTrueDiv` here."""
_CALLS = {"Max": "max", "Min": "min"}
_PASSED = {"ToFloat", "TruncToInt", "FloatTrueDiv"}
_LIMIT = 4000
_HIGHEST_POWER = 64


@dataclass(frozen=True, slots=True)
class SymInt:
    """An integer expression, as Python source over symbol names, and its value at capture."""

    text: str
    hint: int = 0

    def __str__(self) -> str:
        return self.text

    @property
    def expression(self) -> ast.expr:
        return ast.parse(self.text, mode="eval").body

    @property
    def symbols(self) -> list[str]:
        """The symbols in it, each once, in order."""
        found = (node.id for node in ast.walk(self.expression) if isinstance(node, ast.Name))
        return [name for name in dict.fromkeys(found) if name not in _CALLS.values()]

    @property
    def depends_on_values(self) -> bool:
        """Whether it is counted when the model runs, as that of `x[mask]`, and may be 0: PyTorch names it `u0`."""
        return any(name[:1] == "u" and name[1:].isdecimal() for name in self.symbols)


def parse(text: str, hint: int = 0) -> SymInt | int:
    """An expression as PyTorch wrote it; a plain number becomes an `int`.

    Raises:
        FormatError: it is too long, or holds something that is no integer arithmetic.
    """
    try:
        if len(text) > _LIMIT:
            raise ValueError("too long")
        expression = _plain(ast.parse(text, mode="eval").body)
        if _degree(expression) > _HIGHEST_POWER:
            raise ValueError("too high a power")
        made = ast.unparse(expression)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise FormatError(
            f"The size {text[:100]!r} is no integer expression that torch2flow knows ({str(error)[:100]}).",
            maybe="the file is damaged, or newer than torch2flow",
        ) from None
    if isinstance(expression, ast.Constant):
        return int(expression.value)
    return SymInt(made, hint)


def computed(text: str) -> SymInt | None:
    """An expression put together of others; None where it is too long, or can grow too large."""
    try:
        made = SymInt(text)
        return made if len(text) <= _LIMIT and _degree(made.expression) <= _HIGHEST_POWER else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _plain(node: ast.expr) -> ast.expr:
    """The expression with sympy's constructors turned into Python's operators."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) < LARGEST:
        return node
    if isinstance(node, ast.Name) and is_identifier(node.id):
        return node
    if isinstance(node, ast.BinOp) and isinstance(
        node.op, ast.Add | ast.Sub | ast.Mult | ast.FloorDiv | ast.Mod | ast.Pow
    ):
        return ast.BinOp(_plain(node.left), node.op, _plain(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _plain(node.operand)
        return ast.Constant(-inner.value) if isinstance(inner, ast.Constant) else ast.UnaryOp(node.op, inner)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _constructor(node.func.id, node.args)
    raise ValueError(f"{type(node).__name__} is not allowed")


def _degree(node: ast.expr) -> float:
    """The highest power in an expression, as a number of factors: what its value can grow to."""
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            exponent = right.operand if isinstance(right, ast.UnaryOp) else right
            if not isinstance(exponent, ast.Constant):
                raise ValueError("a power that is not known")
            return _degree(left) * float(max(exponent.value, 1))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _degree(left) + _degree(right)
        case ast.BinOp(left=left, right=right):
            return max(_degree(left), _degree(right))
        case ast.UnaryOp(operand=operand):
            return _degree(operand)
        case ast.Call(args=given):
            return max(map(_degree, given))
    return 1


def _constructor(name: str, arguments: list[ast.expr]) -> ast.expr:
    if not arguments:
        raise ValueError(f"{name} of nothing")
    if name == "Symbol":
        value = arguments[0].value if isinstance(arguments[0], ast.Constant) else None
        if not isinstance(value, str) or not is_identifier(value):
            raise ValueError("a symbol without a name")
        return ast.Name(value, ast.Load())
    if name == "Integer":
        return _plain(arguments[0])
    if name == "Rational" or name == "Half":
        raise ValueError(f"{name} is no integer")
    parts = [_plain(argument) for argument in arguments]
    if name in _ROUNDED and isinstance(parts[0], ast.BinOp) and isinstance(parts[0].op, ast.FloorDiv):
        quotient = parts[0]
        if name == "FloorToInt":
            return quotient
        up = _add(_add(quotient.left, quotient.right), ast.Constant(-1))
        return ast.BinOp(up, ast.FloorDiv(), quotient.right)
    if name in _PASSED and len(parts) == 1:
        return parts[0]
    if name in _FLOOR and len(parts) == 2:
        return ast.BinOp(parts[0], ast.FloorDiv(), parts[1])
    if name in _CALLS:
        return ast.Call(ast.Name(_CALLS[name], ast.Load()), parts, [])
    if name in _BINARY:
        # Numbers last in sums, behind what is taken away, and one number first in products: as a person writes them.
        if name == "Add":
            parts.sort(key=lambda part: (isinstance(part, ast.Constant), _negated(part) is not None))
            return reduce(_add, parts)
        if name == "Mul":
            number = math.prod(int(part.value) for part in parts if isinstance(part, ast.Constant))
            if abs(number) >= LARGEST:
                raise ValueError("too large a number")
            factors = [part for part in parts if not isinstance(part, ast.Constant)]
            parts = factors if number == 1 and factors else [ast.Constant(number), *factors]
        return reduce(lambda left, right: ast.BinOp(left, _BINARY[name](), right), parts)
    raise ValueError(f"{name} is not known")


def _add(left: ast.expr, right: ast.expr) -> ast.expr:
    taken = _negated(right)
    return ast.BinOp(left, ast.Add(), right) if taken is None else ast.BinOp(left, ast.Sub(), taken)


def _negated(node: ast.expr) -> ast.expr | None:
    """What is taken away by adding a negative number, or a product that begins with one; None for anything else."""
    match node:
        case ast.Constant(value=int(number)) if number < 0:
            return ast.Constant(-number)
        case ast.BinOp(left=ast.Constant(value=-1), op=ast.Mult(), right=right):
            return right
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if (taken := _negated(left)) is not None:
            return ast.BinOp(taken, ast.Mult(), right)
    return None
