"""Rolls up what the capture unrolled: statements repeated for each module of a list become a loop over the list.

x = self.layers[0](x)
x = self.layers[1](x)          ->      for layer in self.layers:
x = self.layers[2](x)                      x = layer(x)
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any, Protocol

from torch2flow.models.codegen.literals import attribute
from torch2flow.models.codegen.names import is_name, singular


class Lists(Protocol):
    """The lists of modules that a body can loop over: containers, and modules with numbered names."""

    def item(self, node: ast.AST) -> tuple[str, int] | None:
        """The list and the place in it of a module as a body names it: `("self.layers", 0)` for `self.layers[0]`."""

    def length(self, owner: str) -> int:
        """How many modules a list has."""

    def iterated(self, owner: str) -> str:
        """What to loop over: `self.layers`, `self.children()`."""


def roll(statements: list[ast.stmt], lists: Lists) -> list[ast.stmt]:
    """The statements of a `forward`, with the repeated ones as loops."""
    position = 0
    while position < len(statements):
        rolled = _loop_at(statements, position, lists)
        if rolled is not None:
            loop, end = rolled
            statements = [*statements[:position], *loop, *statements[end:]]
            position += len(loop) - 1
        position += 1
    return statements


def _loop_at(statements: list[ast.stmt], start: int, lists: Lists) -> tuple[list[ast.stmt], int] | None:
    """A loop over a whole list that begins at `start`, and where the statements it stands for end."""
    owners = {owner for owner, index in _items(statements[start], lists) if index == 0}
    for owner in sorted(owners):
        count, size = lists.length(owner), _period(statements, start, owner, lists)
        if count < 2 or not size or start + size * count > len(statements):
            continue
        block = statements[start : start + size]
        rest = [statements[start + size * n : start + size * (n + 1)] for n in range(1, count)]
        uses = {each for statement in block for each, index in _items(statement, lists) if index == 0}
        if any(lists.length(each) != count for each in uses):
            continue
        loop = _Loop(lists, uses).rolled(block, rest, owner)
        if loop is not None:
            return loop, start + size * count
    return None


def _period(statements: list[ast.stmt], start: int, owner: str, lists: Lists) -> int:
    """How many statements lie between the first use of item 0 and that of item 1."""
    for offset, statement in enumerate(statements[start:]):
        if (owner, 1) in _items(statement, lists):
            return offset
    return 0


def _items(statement: ast.stmt, lists: Lists) -> list[tuple[str, int]]:
    """The modules of lists that a statement names."""
    return [found for node in ast.walk(statement) if (found := lists.item(node)) is not None]


class _Loop:
    """One loop over the modules of one or more lists."""

    def __init__(self, lists: Lists, owners: set[str]) -> None:
        self.lists, self.owners = lists, owners

    def rolled(self, block: list[ast.stmt], rest: list[list[ast.stmt]], owner: str) -> list[ast.stmt] | None:
        """The loop, and what must be said before it; None where the rounds differ."""
        second = rest[0]
        for number, other in enumerate(rest, start=1):
            if not all(self._equal(left, right, 1, number) for left, right in zip(second, other, strict=True)):
                return None
        setup: list[ast.stmt] = []
        if not all(self._equal(left, right, 0, 1) for left, right in zip(block, second, strict=True)):
            names = self._renamed(block, second)
            if names is None or not all(_writes(second, new) for new in names):
                return None
            setup = [ast.Assign([ast.Name(new, ast.Store())], attribute(old)) for new, old in names.items()]
        variables: dict[str, str] = {}
        taken = {node.id for each in second for node in ast.walk(each) if isinstance(node, ast.Name)}
        for each in sorted(self.owners):
            choices = (_variable(each), "layer", "module", "item")
            name = next((name for name in choices if name not in taken), None)
            if name is None:
                return None
            variables[each] = name
            taken.add(name)
        ordered = sorted(variables, key=lambda each: each != owner)
        replace = _ReplaceItem(self.lists, 1, variables)
        body: list[ast.stmt] = [replace.visit(copy.deepcopy(statement)) for statement in second]
        iterated = [ast.parse(self.lists.iterated(each), mode="eval").body for each in ordered]
        if len(ordered) == 1:
            return [*setup, ast.For(ast.Name(variables[owner], ast.Store()), iterated[0], body, [])]
        target = ast.Tuple([ast.Name(variables[each], ast.Store()) for each in ordered], ast.Store())
        together = ast.Call(ast.Name("zip", ast.Load()), iterated, [])
        return [*setup, ast.For(target, together, body, [])]

    def _equal(self, left: ast.stmt, right: ast.stmt, at_left: int, at_right: int) -> bool:
        return self._normal(left, at_left) == self._normal(right, at_right)

    def _normal(self, statement: ast.stmt, index: int) -> str:
        variables = {owner: f"item_{number}" for number, owner in enumerate(sorted(self.owners))}
        return ast.dump(_ReplaceItem(self.lists, index, variables).visit(copy.deepcopy(statement)))

    def _renamed(self, first: list[ast.stmt], second: list[ast.stmt]) -> dict[str, str] | None:
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
            if not self._equal(blank, right, 0, 1):
                return None
        return names or None


class _ReplaceItem(ast.NodeTransformer):
    """Replaces the module at one place of a list by a variable."""

    def __init__(self, lists: Lists, index: int, variables: dict[str, str]) -> None:
        self.lists, self.index, self.variables = lists, index, variables

    def visit(self, node: ast.AST) -> Any:
        found = self.lists.item(node)
        if found is not None and found[1] == self.index and found[0] in self.variables:
            return ast.Name(self.variables[found[0]], ast.Load())
        return self.generic_visit(node)


def _variable(owner: str) -> str:
    """What one module of a list is called: `layer` of `self.layers`, `denselayer` of `self.denselayer{i}`."""
    name, pattern, _ = owner.rpartition(".")[2].partition("[")[0].partition("{i}")
    if pattern:
        name = name.rstrip("_")
        return name if is_name(name) else "module"
    return singular(name)


def _writes(statements: list[ast.stmt], name: str) -> bool:
    return any(name in _stored(statement) for statement in statements)


def _stored(statement: ast.stmt) -> Iterator[str]:
    return (n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
