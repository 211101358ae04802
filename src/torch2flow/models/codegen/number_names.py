"""What the author's line calls the numbers that an operator is given.

    is_small = relative_position < max_exact               the 8 of `lt(relative_position, 8)` is `max_exact`
    x = x.view(batch_size, groups, channels, height)       the sizes of `view`, one by one
    x = x[:, :height]                                      the end of a slice

A program holds only the numbers; where a number differs between modules of one class, it needs a name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from torch2flow.models.codegen.names import NOT_VALUES, is_name, parsed

_OPERATORS = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "div": ast.Div, "floor_divide": ast.FloorDiv, "pow": ast.Pow,
    "remainder": ast.Mod, "lt": ast.Lt, "le": ast.LtE, "gt": ast.Gt, "ge": ast.GtE, "eq": ast.Eq, "ne": ast.NotEq,
}  # fmt: skip
_LETTERS = {"B": "batch_size", "C": "channels", "H": "height", "W": "width"}
"""What the letters stand for that authors write for sizes."""


@cache
def operand_names(text: str, operator: str, tensors: frozenset[str]) -> tuple[str, ...]:
    """The names of the numbers that the operators of one kind are given in a line, the inner operators first.

    Args:
        text: the author's line.
        operator: `lt`, `mul`, ...: the last part of the operator's name.
        tensors: the names that stand for tensors there.
    """
    tree = parsed(text)
    found = []
    for node in _inner_first(tree) if tree else ():
        match node:
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                if type(op) is not _OPERATORS.get(operator.removesuffix("_")):
                    continue
                for number, other in ((right, left), (left, right)):
                    if not tensors & set(_identifiers(number)) and tensors & set(_identifiers(other)):
                        found.append(_name(number))
                        break
    return tuple(found)


@cache
def item_names(text: str, count: int) -> tuple[str, ...]:
    """The names of the numbers in the one list of so many items, or the one call with so many arguments, of a line."""
    tree = parsed(text)
    found = []
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(args=items) | ast.Tuple(elts=items, ctx=ast.Load()) | ast.List(elts=items, ctx=ast.Load()):
                if len(items) == count and not any(isinstance(item, ast.Starred) for item in items):
                    found.append(tuple(_name(item) for item in items))
    return found[0] if len(found) == 1 else ()


@cache
def end_name(text: str, dim: int) -> str:
    """The name of the end of the slice in one dimension, in a line with one subscript: `height` of `x[:, :height]`."""
    tree = parsed(text)
    keys = [node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)] if tree else []
    items = [key.elts for key in keys if isinstance(key, ast.Tuple) and len(key.elts) > dim]
    if len(items) != 1 or not isinstance(part := items[0][dim], ast.Slice) or part.upper is None:
        return ""
    return _name(part.upper)


def _inner_first(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield from _inner_first(child)
    yield node


def _name(node: ast.AST) -> str:
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
