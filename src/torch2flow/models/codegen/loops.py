"""Rolls up what the capture unrolled: statements repeated for each module of a list become a loop over the list.

x = self.layers[0](x)
x = self.layers[1](x)          ->      for layer in self.layers:
x = self.layers[2](x)                      x = layer(x)
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

from torch2flow.models.codegen.names import singular


def roll(statements: list[ast.stmt], length: Callable[[str], int]) -> list[ast.stmt]:
    """The statements, with the repeated ones as loops.

    Args:
        statements: the body of a `forward`.
        length: how many modules a container has, as the body names it (`self.layers`); 0 for anything else.
    """
    position = 0
    while position < len(statements):
        rolled = _loop_at(statements, position, length)
        if rolled is not None:
            loop, end = rolled
            statements = [*statements[:position], *loop, *statements[end:]]
            position += len(loop) - 1
        position += 1
    return statements


def _loop_at(statements: list[ast.stmt], start: int, length: Callable[[str], int]) -> tuple[list[ast.stmt], int] | None:
    """A loop over a whole container that begins at `start`, and where the statements it stands for end."""
    owners = {text for text, index in _items(statements[start]) if index == 0}
    for owner in sorted(owners):
        count, size = length(owner), _period(statements, start, owner)
        if count < 2 or not size or start + size * count > len(statements):
            continue
        block = statements[start : start + size]
        rest = [statements[start + size * n : start + size * (n + 1)] for n in range(1, count)]
        uses = {text for statement in block for text, index in _items(statement) if index == 0}
        if any(length(text) != count for text in uses):
            continue
        loop = _rolled(block, rest, owner, uses)
        if loop is not None:
            return loop, start + size * count
    return None


def _period(statements: list[ast.stmt], start: int, owner: str) -> int:
    """How many statements lie between the first use of item 0 and that of item 1."""
    for offset, statement in enumerate(statements[start:]):
        if any(text == owner and index == 1 for text, index in _items(statement)):
            return offset
    return 0


def _rolled(block: list[ast.stmt], rest: list[list[ast.stmt]], owner: str, owners: set[str]) -> list[ast.stmt] | None:
    second = rest[0]
    for number, other in enumerate(rest, start=1):
        if not all(_equal(left, right, 1, number, owners) for left, right in zip(second, other, strict=True)):
            return None
    setup: list[ast.stmt] = []
    if not all(_equal(left, right, 0, 1, owners) for left, right in zip(block, second, strict=True)):
        names = _renamed(block, second, owners)
        if names is None or not all(_writes(second, new) for new in names):
            return None
        setup = [ast.parse(f"{new} = {old}").body[0] for new, old in names.items()]
    variables = {text: singular(text.rpartition(".")[2].partition("[")[0]) for text in sorted(owners)}
    if len(set(variables.values())) < len(variables) or _clashes(second, set(variables.values())):
        return None
    ordered = sorted(variables, key=lambda text: text != owner)
    body = [_Items(1, variables).visit(copy.deepcopy(statement)) for statement in second]
    target: ast.expr = ast.Name(variables[owner], ast.Store())
    iterated: ast.expr = ast.parse(owner, mode="eval").body
    if len(ordered) > 1:
        target = ast.Tuple([ast.Name(variables[text], ast.Store()) for text in ordered], ast.Store())
        iterated = ast.Call(ast.Name("zip", ast.Load()), [ast.parse(text, mode="eval").body for text in ordered], [])
    return [*setup, ast.For(target, iterated, body, [])]


def _items(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """The numbered modules a statement names: `("self.layers", 0)`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is int:
            text = ast.unparse(node.value)
            if text.startswith("self."):
                yield text, node.slice.value


class _Items(ast.NodeTransformer):
    """Replaces `self.layers[index]` by a variable."""

    def __init__(self, index: int, variables: dict[str, str]) -> None:
        self.index, self.variables = index, variables

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        text = ast.unparse(node.value)
        if text in self.variables and isinstance(node.slice, ast.Constant) and node.slice.value == self.index:
            return ast.Name(self.variables[text], ast.Load())
        self.generic_visit(node)
        return node


def _normal(statement: ast.stmt, index: int, owners: set[str]) -> str:
    variables = {text: f"item_{number}" for number, text in enumerate(sorted(owners))}
    return ast.dump(_Items(index, variables).visit(copy.deepcopy(statement)))


def _equal(left: ast.stmt, right: ast.stmt, at_left: int, at_right: int, owners: set[str]) -> bool:
    return _normal(left, at_left, owners) == _normal(right, at_right, owners)


def _renamed(first: list[ast.stmt], second: list[ast.stmt], owners: set[str]) -> dict[str, str] | None:
    """Where the first round reads other names than the later ones: `{name in the loop: name before it}`."""
    names: dict[str, str] = {}
    for left, right in zip(first, second, strict=True):
        old = [node for node in ast.walk(left) if isinstance(node, ast.Name)]
        new = [node for node in ast.walk(right) if isinstance(node, ast.Name)]
        if len(old) != len(new):
            return None
        for before, after in zip(old, new, strict=True):
            if before.id == after.id:
                continue
            if not isinstance(after.ctx, ast.Load) or names.setdefault(after.id, before.id) != before.id:
                return None
        blank = copy.deepcopy(left)
        for node, after in zip((n for n in ast.walk(blank) if isinstance(n, ast.Name)), new, strict=True):
            node.id = after.id
        if not _equal(blank, right, 0, 1, owners):
            return None
    return names or None


def _writes(statements: list[ast.stmt], name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name
        for statement in statements
        for node in ast.walk(statement)
    )


def _clashes(statements: list[ast.stmt], variables: set[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in variables for s in statements for node in ast.walk(s))
