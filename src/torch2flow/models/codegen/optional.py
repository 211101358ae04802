"""Finds classes that differ only in one module that some have and others lack: a residual block's `downsample`.

full:   identity = self.downsample(x)      small:  out = out + x
        out = out + identity
->      identity = x if self.downsample is None else self.downsample(x)
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from torch2flow.models.codegen.structures import (
    Construct,
    Draft,
    Structure,
    Structures,
    shape_of,
    slots_of,
    structures_in,
)


@dataclass(frozen=True, slots=True)
class OptionalChild:
    """Which structure a smaller one is a case of.

    Attributes:
        full: the key of the structure that has the module.
        child: the module's name.
        start, count: the columns of the module in the structure's rows.
    """

    full: str
    child: str
    start: int
    count: int


def find_optional(structures: Structures) -> dict[str, OptionalChild]:
    """The structures that are others without one module, by their keys; a full one is found under its own key too."""
    found: dict[str, OptionalChild] = {}
    groups: dict[str, list[tuple[str, Structure]]] = {}
    for key, structure in structures.found.items():
        if not structure.optional:
            groups.setdefault(structure.draft.class_name, []).append((key, structure))
    for group in groups.values():
        for full_key, full in group:
            for small_key, small in group:
                child = _extra_child(full.draft, small.draft)
                if (
                    child
                    and small_key not in found
                    and full_key not in found
                    and small not in _within(full.draft.children[child])
                    and _agree(full.draft, small.draft, child)
                ):
                    place = _columns(full.draft, child)
                    found[small_key] = found[full_key] = OptionalChild(full_key, child, *place)
    return found


def outdated(structures: Structures) -> set[str]:
    """The keys whose case is none any more, since a merge within the classes gave them other keys."""
    live: dict[str, set[bool]] = {}
    for key in structures.met:
        if (case := structures.optional.get(key)) is not None:
            live.setdefault(case.full, set()).add(key == case.full)
    return {key for key, case in structures.optional.items() if len(live.get(case.full, ())) < 2}


def _within(construct: Construct) -> Iterator[Structure]:
    """The structures of a construction and of everything inside: a class can't be a case of one it holds."""
    for structure in structures_in(construct):
        yield structure
        for child in structure.draft.children.values():
            yield from _within(child)


def _extra_child(full: Draft, small: Draft) -> str:
    if full.base != "nn.Module" or small.base != full.base or len(full.children) != len(small.children) + 1:
        return ""
    extra = [name for name in full.children if name not in small.children]
    rest = [(name, shape_of(child)) for name, child in full.children.items() if name not in extra]
    if len(extra) != 1 or rest != [(name, shape_of(child)) for name, child in small.children.items()]:
        return ""
    return extra[0]


def _agree(full: Draft, small: Draft, child: str) -> bool:
    if len(full.methods) != 1 or len(small.methods) != 1:
        return False
    if [shape_of(own.statement) for own in full.owns] != [shape_of(own.statement) for own in small.owns]:
        return False
    without = without_child(full.methods[0], child)
    return without is not None and shape_of(without) == shape_of(small.methods[0])


def without_child(method: ast.FunctionDef, child: str) -> ast.FunctionDef | None:
    """A method with `self.child(x)` replaced by `x`; None where the module is used in another way."""
    method = copy.deepcopy(method)
    remover = _Remove(child)
    method = remover.visit(method)
    if remover.count != 1 or _mentions(method, child):
        return None
    body: list[ast.stmt] = []
    names: dict[str, str] = {}
    for statement in method.body:
        statement = _Rename(names).visit(statement)
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Name(id=source)):
                names[target] = source
            case _:
                body.append(statement)
    method.body = body
    return method


def make_optional(method: ast.FunctionDef, child: str) -> ast.FunctionDef:
    """A method that does without the module where it is None."""
    return _Choose(child).visit(copy.deepcopy(method))  # type: ignore[no-any-return]


def _calls(node: ast.AST, child: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == child
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Name)
    )


class _Remove(ast.NodeTransformer):
    def __init__(self, child: str) -> None:
        self.child, self.count = child, 0

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if _calls(node, self.child):
            self.count += 1
            return node.args[0]
        return self.generic_visit(node)  # type: ignore[return-value]


class _Choose(ast.NodeTransformer):
    def __init__(self, child: str) -> None:
        self.child = child

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if _calls(node, self.child):
            test = ast.Compare(copy.deepcopy(node.func), [ast.Is()], [ast.Constant(None)])
            return ast.IfExp(test, copy.deepcopy(node.args[0]), node)
        return self.generic_visit(node)  # type: ignore[return-value]


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if isinstance(node.ctx, ast.Load):
            node.id = self.names.get(node.id, node.id)
        return node


def _mentions(method: ast.FunctionDef, child: str) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == child for node in ast.walk(method))


def _columns(draft: Draft, child: str) -> tuple[int, int]:
    start = sum(len(list(slots_of(own.statement))) for own in draft.owns)
    for name, construct in draft.children.items():
        count = len(list(slots_of(construct)))
        if name == child:
            return start, count
        start += count
    raise KeyError(child)
