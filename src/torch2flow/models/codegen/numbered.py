"""Modules whose names only count, and that are made alike: `layers.0`, `layers.1`, ... or `denselayer1`, ...

self.layers = nn.ModuleList([Block(64) for _ in range(12)])
for i in range(6):
    self.add_module(f"denselayer{i + 1}", DenseLayer(64 + 32 * i))
"""

from __future__ import annotations

import ast
import re
from itertools import pairwise

from torch2flow.models.codegen.blueprints import (
    EACH,
    Choice,
    Construct,
    ContainerCall,
    New,
    Repeated,
    Slot,
    cells_of,
    key_of,
    shape_of,
)
from torch2flow.models.codegen.module_tree import Module


def numbered(names: list[str]) -> tuple[str, int] | None:
    """The pattern of names that only count, and where they start: `("layer_{i}", 1)` for `layer_1`, `layer_2`, ..."""
    found = [re.fullmatch(r"([A-Za-z_][\w.-]*?|)(0|[1-9]\d*)", name) for name in names]
    if len(names) < 2 or not all(found):
        return None
    prefixes, numbers = {each[1] for each in found if each}, [int(each[2]) for each in found if each]
    if len(prefixes) > 1 or numbers != list(range(numbers[0], numbers[0] + len(names))):
        return None
    return f"{prefixes.pop()}{{i}}", numbers[0]


def repeated(kind: str, children: dict[str, Construct]) -> Repeated | None:
    """Modules that are equal, or whose numbers grow by the same from each to the next, as a loop; None for others."""
    names, items = numbered(list(children)), list(children.values())
    if names is None or _is_short(items[0]) or len({repr(shape_of(item)) for item in items}) > 1:
        return None
    pattern, start = names
    if kind == "nn.ModuleList" and pattern != "{i}":
        return None
    steps: dict[int, Slot] = {}
    for place, cells in enumerate(zip(*map(cells_of, items), strict=True)):
        values = [cell.value for cell in cells]
        if len({key_of(value) for value in values}) == 1:
            continue
        if len(items) < 3 or not all(type(value) is int for value in values):
            return None
        if len({after - before for before, after in pairwise(values)}) > 1:
            return None
        steps[place] = Slot(values[1] - values[0], "step")
    if steps and holds_loop(items[0]):
        return None  # Both loops would count with the same variable.
    name = "" if pattern == "{i}" and not start else pattern.replace("{i}", f"{{i + {start}}}" if start else "{i}")
    return Repeated(kind, items[0], Slot(len(items), "depth"), name, steps)


def holds_loop(construct: Construct | None) -> bool:
    """Whether a construction is written with a loop inside."""
    if isinstance(construct, ContainerCall):
        return any(map(holds_loop, construct.items.values()))
    if isinstance(construct, Choice):
        return holds_loop(construct.first) or holds_loop(construct.other)
    return isinstance(construct, Repeated)


def _is_short(item: Construct) -> bool:
    """Whether a module is made by so few words that a loop would say no less."""
    return isinstance(item, New) and item.function.value.text.startswith("nn.")


def folded(children: dict[str, Construct]) -> dict[str, Construct]:
    """The children of a module, with three or more whose names count up and that are made alike as a loop."""
    result: dict[str, Construct] = {}
    names, start = list(children), 0
    while start < len(names):
        loops = (
            (end, loop)
            for end in range(len(names), start + 2, -1)
            if (loop := repeated(EACH, {name: children[name] for name in names[start:end]}))
        )
        end, loop = next(loops, (start + 1, None))
        result[loop.names if loop else names[start]] = loop or children[names[start]]
        start = end
    return result


class ModuleLists:
    """The lists of modules that the body of one module can loop over (`loops.Lists`)."""

    def __init__(self, modules: dict[str, Module], path: str) -> None:
        self.modules, self.path = modules, path
        self.numbered = numbered(list(modules[path].children))

    def item(self, node: ast.AST) -> tuple[str, int] | None:
        match node:
            case ast.Subscript(value=ast.expr() as owner, slice=ast.Constant(value=int() as index)):
                text = ast.unparse(owner)
                return (text, index) if text.startswith("self.") and type(index) is int else None
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if self.numbered:
                return self._numbered(name)
            case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id="self"), ast.Constant(value=str() as name)]):
                return self._numbered(name)
        return None

    def _numbered(self, name: str) -> tuple[str, int] | None:
        """The place of a child among those whose names only count."""
        if self.numbered is None or name not in self.modules[self.path].children:
            return None
        pattern, start = self.numbered
        return f"self.{pattern}", int(name.removeprefix(pattern.partition("{i}")[0])) - start

    def length(self, owner: str) -> int:
        if "{i}" in owner:
            return len(self.modules[self.path].children)
        parts: list[str] = []
        node = ast.parse(owner, mode="eval").body
        while isinstance(node, ast.Attribute | ast.Subscript):
            parts.insert(0, node.attr if isinstance(node, ast.Attribute) else ast.unparse(node.slice).strip("'"))
            node = node.value
        if not isinstance(node, ast.Name):
            return 0
        module = self.modules.get(".".join([*([self.path] if self.path else []), *parts]))
        return len(module.children) if module is not None and module.is_counted else 0

    def iterated(self, owner: str) -> str:
        return "self.children()" if "{i}" in owner else owner
