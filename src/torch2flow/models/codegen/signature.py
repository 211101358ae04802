"""The root's `forward`: parameters named as in the original, nested inputs taken apart, outputs put together again."""

from __future__ import annotations

import ast
import re
from typing import Any

from torch2flow.models.codegen.literals import attribute, literal
from torch2flow.models.codegen.names import RESERVED, free_name, is_name, record_name
from torch2flow.models.codegen.size_checks import size_checks
from torch2flow.models.program import Graph, Ref, Tree


class InputNames:
    """The parameters of the root's `forward`.

    Attributes:
        arguments: as Python source has them.
        values: the local name of each input value.
        unpacking: statements that take nested inputs apart, and refuse sizes that the program excludes.
    """

    def __init__(self, graph: Graph) -> None:
        self.values: dict[str, str] = {}
        self.unpacking: list[ast.stmt] = []
        self.flat = iter(graph.inputs)
        self.taken = set(RESERVED)
        positional, keywords = _parts(graph)
        names = list(graph.argument_names)
        wanted = []
        for position in range(len(positional)):
            name = names[position] if position < len(names) and is_name(names[position]) else ""
            wanted.append(name or ("x" if len(positional) == 1 else f"x{position + 1}"))
        for name in keywords.names:
            if not is_name(name):
                raise ValueError(f"a keyword is called {name[:50]!r}")
            wanted.append(name)
        wanted = [self._free(name) for name in wanted]
        trees = [*positional, *keywords.children]
        parameters = [self._parameter(name, tree) for name, tree in zip(wanted, trees, strict=True)]
        first = next((index for index, (_, default) in enumerate(parameters) if default is not ...), len(parameters))
        defaults = [literal(None if default is ... else default) for _, default in parameters[first:]]
        declared = [ast.arg("self"), *(ast.arg(name) for name, _ in parameters)]
        self.arguments = ast.arguments([], declared, None, [], [], None, defaults)
        self.unpacking += size_checks(graph, self.values)

    def _parameter(self, name: str, tree: Tree) -> tuple[str, Any]:
        """A parameter's name and its default; `...` where it has none."""
        if tree.kind in ("leaf", "none"):
            value = next(self.flat)
            if isinstance(value, Ref):
                self.values[value.name] = name
                return name, ...
            return name, value
        self._take_apart(attribute(name), name, tree)
        return name, ...

    def _free(self, name: str) -> str:
        """A name that is nobody's yet."""
        candidate = free_name(name, self.taken.__contains__)
        self.taken.add(candidate)
        return candidate

    def _take_apart(self, source: ast.expr, name: str, tree: Tree) -> None:
        keys = tree.names or tuple(str(index) for index in range(len(tree.children)))
        for index, (key, child) in enumerate(zip(keys, tree.children, strict=True)):
            item = ast.Subscript(source, ast.Constant(key if tree.kind == "dict" else index), ast.Load())
            if tree.kind not in ("dict", "tuple", "list") and is_name(key):
                item = ast.Attribute(source, key, ast.Load())  # type: ignore[assignment]
            local = key if is_name(key) and key not in self.taken else re.sub(r"\W", "_", f"{name}_{key}")
            if child.kind in ("leaf", "none"):
                value = next(self.flat)
                if isinstance(value, Ref):
                    local = self._free(local)
                    self.values[value.name] = local
                    self.unpacking.append(ast.Assign([ast.Name(local, ast.Store())], item))
            else:
                self._take_apart(item, local, child)


def _parts(graph: Graph) -> tuple[tuple[Tree, ...], Tree]:
    tree = graph.input_tree
    if tree.kind == "tuple" and len(tree.children) == 2 and tree.children[1].kind == "dict":
        return tree.children[0].children, tree.children[1]
    return tree.children, Tree("dict")


def returned(tree: Tree, values: list[ast.expr]) -> ast.expr:
    """The expression of a nested output."""
    return _returned(tree, iter(values))


def _returned(tree: Tree, values: Any) -> ast.expr:
    if tree.kind in ("leaf", "none"):
        value: ast.expr = next(values)
        return value
    items = [_returned(child, values) for child in tree.children]
    if tree.kind == "tuple":
        return ast.Tuple(items, ast.Load())
    if tree.kind == "list":
        return ast.List(items, ast.Load())
    if tree.kind == "dict":
        return ast.Dict([ast.Constant(name) for name in tree.names], items)
    name = record_name(tree.kind)
    if _has_fields(tree):
        return ast.Call(attribute(name), [], [ast.keyword(n, v) for n, v in zip(tree.names, items, strict=True)])
    return ast.Tuple(items, ast.Load())


def _has_fields(tree: Tree) -> bool:
    return len(tree.names) == len(tree.children) and all(is_name(each) and each[0] != "_" for each in tree.names)


def records(tree: Tree) -> dict[str, tuple[str, ...]]:
    """The classes a nested output needs, by name, with their fields: all that any of their records has."""
    found: dict[str, tuple[str, ...]] = {}

    def add(name: str, fields: tuple[str, ...]) -> None:
        found[name] = tuple(dict.fromkeys([*found.get(name, ()), *fields]))

    for child in tree.children:
        for name, fields in records(child).items():
            add(name, fields)
    if tree.kind not in ("leaf", "none", "tuple", "list", "dict") and _has_fields(tree):
        add(record_name(tree.kind), tree.names)
    return found
