"""The numbers of a draft, always in one order, and what is left without them: what tells whether two are one class.

Every number of a draft is a *cell*: the `Slot` of a construction, or a constant of a statement. A module's *row* has
its value for each of them.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from typing import Any, Union

from torch2flow.models.codegen.drafts import (
    Choice,
    Construct,
    ContainerCall,
    Draft,
    Instance,
    New,
    Own,
    Repeated,
    Slot,
)
from torch2flow.models.codegen.literals import Constant

Cell = Union[Slot, ast.Constant]  # noqa: UP007


def cells_of(part: Draft | Construct | Own | ast.AST) -> Iterator[Cell]:
    """All numbers of a draft or a part of one, always in the same order."""
    if isinstance(part, Draft):
        for own in part.owns:
            yield from cells_of(own)
        yield from _cells_of_items(part.children, part.presence)
        for method in part.methods:
            yield from cells_of(method)
    elif isinstance(part, Own):
        if part.presence is not None:
            yield part.presence
        yield from cells_of(part.statement)
    elif isinstance(part, New):
        yield part.function
        yield from part.slots.values()
    elif isinstance(part, ContainerCall):
        yield from _cells_of_items(part.items, part.presence)
    elif isinstance(part, Repeated):
        yield from cells_of(part.item)
        yield part.count
        yield from part.steps.values()
    elif isinstance(part, Instance):
        yield from part.row
    elif isinstance(part, Choice):
        yield part.test
        yield from cells_of(part.first)
        if part.other is not None:
            yield from cells_of(part.other)
    else:
        for node in ast.walk(part):
            if isinstance(node, ast.Constant) and is_number(node):
                yield node


def _cells_of_items(items: Mapping[str, Construct], presence: Mapping[str, Slot]) -> Iterator[Cell]:
    for name, item in items.items():
        if name in presence:
            yield presence[name]
        yield from cells_of(item)


def row_of(draft: Draft) -> list[Slot]:
    """The numbers of one module."""
    return [cell if isinstance(cell, Slot) else Slot(cell.value, hint_of(cell)) for cell in cells_of(draft)]


def hint_of(cell: Cell) -> str:
    """What a cell's number is: the name of the argument that it may become."""
    return cell.hint if isinstance(cell, Slot | Constant) else ""


def is_number(node: ast.Constant) -> bool:
    """Whether a constant may differ between modules of one class: a bool, a string or None is part of the class."""
    number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return number or (isinstance(node, Constant) and node.varies)


def shape_of(part: Draft | Construct | Own | ast.AST | None) -> Any:
    """Everything but the numbers, as something that can be compared."""
    if isinstance(part, Draft):
        children = tuple((name, shape_of(child)) for name, child in part.children.items())
        named = tuple(
            tuple(argument.arg for argument in method.args.args if argument.arg in part.forward)
            for method in part.methods
        )
        return part.base, tuple(map(shape_of, part.owns)), children, tuple(map(shape_of, part.methods)), named
    if isinstance(part, Own):
        return part.attribute, part.presence is not None, shape_of(part.statement)
    if isinstance(part, New):
        return part.function.value.text, tuple(part.slots)
    if isinstance(part, ContainerCall):
        return part.kind, tuple((name, name in part.presence, shape_of(item)) for name, item in part.items.items())
    if isinstance(part, Repeated):
        return part.kind, "repeated", part.names, tuple(part.steps), shape_of(part.item)
    if isinstance(part, Instance):
        return id(part.blueprint)
    if isinstance(part, Choice):
        return "choice", shape_of(part.first), shape_of(part.other)
    if part is None:
        return None
    blank = blanked(part)
    return ast.dump(_Anonymous().visit(blank) if isinstance(blank, ast.FunctionDef) else blank)


def blanked(tree: ast.AST) -> ast.AST:
    """A copy in which every number is 0."""
    blank = copy.deepcopy(tree)
    for node in cells_of(blank):
        node.value = 0
    return blank


class _Anonymous(ast.NodeTransformer):
    """Numbers local variables by their first appearance: names are no difference."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for name in [*(argument.arg for argument in node.args.args[1:]), *stored]:
            self.names.setdefault(name, "")
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._number(node.arg)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._number(node.id)
        return node

    def _number(self, name: str) -> str:
        if name not in self.names:
            return name
        if not self.names[name]:
            self.names[name] = f"v{sum(map(bool, self.names.values()))}"
        return self.names[name]


def same(left: Construct, right: Construct) -> bool:
    """Whether two constructions are equal, numbers included."""
    if shape_of(left) != shape_of(right):
        return False
    return [key_of(cell.value) for cell in cells_of(left)] == [key_of(cell.value) for cell in cells_of(right)]


def key_of(value: Any) -> Any:
    """A value and its type, which `==` confuses: 1, 1.0 and True are three values."""
    return (type(value).__name__, value)
