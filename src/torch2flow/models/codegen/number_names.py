"""What the author's line calls the numbers that an operator is given.

    is_small = relative_position < max_exact               the 8 of `lt(relative_position, 8)` is `max_exact`
    x = x.view(batch_size, groups, channels, height)       the sizes of `view`, one by one
    x = x[:, :height]                                      the end of a slice

A program holds only the numbers; where a number differs between modules of one class, it needs a name. Where it is
what the module holds under that name, the name is written instead: `self.num_heads`, `self.window_size[0] ** 2`.
"""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from torch2flow.models.codegen.names import NOT_VALUES, is_name, parsed

_OPERATORS = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "div": ast.Div, "floor_divide": ast.FloorDiv, "pow": ast.Pow,
    "remainder": ast.Mod, "lt": ast.Lt, "le": ast.LtE, "gt": ast.Gt, "ge": ast.GtE, "eq": ast.Eq, "ne": ast.NotEq,
}  # fmt: skip
_ARITHMETIC: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Pow: lambda base, exponent: base**exponent if 0 <= exponent < 4 else 0,
}  # fmt: skip
_LETTERS = {"B": "batch_size", "C": "channels", "H": "height", "W": "width"}
"""What the letters stand for that authors write for sizes."""


@cache
def operand_names(text: str, operator_name: str, tensors: frozenset[str]) -> tuple[str, ...]:
    """The names of the numbers that the operators of one kind are given in a line, the inner operators first.

    Args:
        text: the author's line.
        operator_name: `lt`, `mul`, ...: the last part of the operator's name.
        tensors: the names that stand for tensors there.
    """
    tree = parsed(text)
    found = []
    for node in _inner_first(tree) if tree else ():
        match node:
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                if type(op) is not _OPERATORS.get(operator_name.removesuffix("_")):
                    continue
                for number, other in ((right, left), (left, right)):
                    if not tensors & set(_identifiers(number)) and tensors & set(_identifiers(other)):
                        found.append(name_of(number))
                        break
    return tuple(found)


@cache
def items(text: str, count: int) -> tuple[ast.expr, ...]:
    """The expressions in the one list of so many items, or the one call with so many arguments, of a line."""
    tree = parsed(text)
    found = []
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(args=given) | ast.Tuple(elts=given, ctx=ast.Load()) | ast.List(elts=given, ctx=ast.Load()):
                if len(given) == count and not any(isinstance(item, ast.Starred) for item in given):
                    found.append(tuple(given))
    return found[0] if len(found) == 1 else ()


@cache
def method_names(text: str, operator_name: str) -> tuple[str, ...]:
    """The names of what the one call of a method of a line is given: `keep_prob` of `mask.bernoulli_(keep_prob)`."""
    tree = parsed(text)
    found = [
        node.args
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.rstrip("_") == operator_name
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id in NOT_VALUES)
    ]
    return tuple(map(name_of, found[0])) if len(found) == 1 else ()


@cache
def end_name(text: str, dim: int) -> str:
    """The name of the end of the slice in one dimension, in a line with one subscript: `height` of `x[:, :height]`."""
    tree = parsed(text)
    keys = [node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)] if tree else []
    found = [key.elts for key in keys if isinstance(key, ast.Tuple) and len(key.elts) > dim]
    if len(found) != 1 or not isinstance(part := found[0][dim], ast.Slice) or part.upper is None:
        return ""
    return name_of(part.upper)


def explained(node: ast.expr, value: int, facts: Mapping[str, Any]) -> ast.expr | None:
    """The author's expression for a number, where it is worked out from what the module holds; None for any other.

    Args:
        node: `num_heads`, `self.window_size[0] * self.window_size[1]`.
        value: the number in the program.
        facts: what the module holds, by name.
    """
    try:
        made = _Held(facts).visit(copy.deepcopy(node))
        return made if _evaluated(made, facts) == value else None
    except (_NotHeldError, ArithmeticError, LookupError, TypeError):
        return None


class _NotHeldError(Exception):
    """The expression is worked out from something else."""


class _Held(ast.NodeTransformer):
    """Writes what the module holds as `self.name`."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._held(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._held(node.attr) if isinstance(node.value, ast.Name) and node.value.id == "self" else self._held("")

    def _held(self, name: str) -> ast.expr:
        if name not in self.facts:
            raise _NotHeldError
        return ast.Attribute(ast.Name("self", ast.Load()), name, ast.Load())


def _evaluated(node: ast.expr, facts: Mapping[str, Any]) -> Any:
    match node:
        case ast.Attribute(attr=name):
            return facts[name]
        case ast.Constant(value=int() as number):
            return number
        case ast.Subscript(value=held, slice=ast.Constant(value=int() as place)):
            return _evaluated(held, facts)[place]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            first, second = _evaluated(left, facts), _evaluated(right, facts)
            if all(type(each) is int and abs(each) < 1 << 40 for each in (first, second)):
                return _ARITHMETIC[type(op)](first, second)
    raise _NotHeldError


def _inner_first(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield from _inner_first(child)
    yield node


def name_of(node: ast.AST) -> str:
    """A name for the value of an expression: its variables; "" where it has none, or too many."""
    names = [_LETTERS.get(each, each) for each in _identifiers(node)]
    name = "_".join(names) if len(names) <= 2 else ""
    return name if is_name(name) and len(name) > 1 else ""


def _identifiers(node: ast.AST) -> list[str]:
    """The variables and attributes in an expression, in order, without `self`, modules and what is called."""
    called = {id(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
    found = [n for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute) and id(n) not in called]
    found.sort(key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0))
    texts = [n.id if isinstance(n, ast.Name) else n.attr for n in found]
    return [text for text in dict.fromkeys(texts) if text not in NOT_VALUES]
