"""Modules whose names only count, and that are made alike: `layers.0`, `layers.1`, ... or `denselayer1`, ...

self.layers = nn.ModuleList([Block(64) for _ in range(12)])
for i in range(6):
    self.add_module(f"denselayer{i + 1}", DenseLayer(64 + 32 * i))
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

from torch2flow.models.codegen.cells import cells_of, key_of, shape_of
from torch2flow.models.codegen.drafts import EACH, Choice, Construct, ContainerCall, New, Repeated, Slot
from torch2flow.models.codegen.module_tree import Module


def counted(name: str) -> tuple[str, int] | None:
    """A name that ends with a number: what is before it, and the number; None for any other."""
    digits = len(name) - len(name.rstrip("0123456789"))
    number = (name[len(name) - digits :].lstrip("0") or "0") if digits else ""
    prefix = name[: len(name) - len(number)]
    starts = not prefix or prefix[0] == "_" or (prefix[0].isascii() and prefix[0].isalpha())
    plain = starts and all(letter.isalnum() or letter in "_.-" for letter in prefix)
    return (prefix, int(number)) if plain and 0 < len(number) < 10 else None


def numbered(names: list[str]) -> tuple[str, int] | None:
    """The pattern of names that only count, and where they start: `("layer_{i}", 1)` for `layer_1`, `layer_2`, ..."""
    found = [each for name in names if (each := counted(name))]
    if len(names) < 2 or len(found) < len(names):
        return None
    prefix, start = found[0]
    if found != [(prefix, number) for number in range(start, start + len(names))]:
        return None
    return f"{prefix}{{i}}", start


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
    rows = [_Counted(name, child) for name, child in children.items()]
    while start < len(names):
        end = start + 1
        while end < len(names) and rows[end].follows(rows[start:end]):
            end += 1
        loop = repeated(EACH, {name: children[name] for name in names[start:end]}) if end - start > 2 else None
        if loop is None or loop.names in children:
            loop, end = None, start + 1
        result[loop.names if loop else names[start]] = loop or children[names[start]]
        start = end
    return result


class _Counted:
    """A module and the number that its name ends with."""

    def __init__(self, name: str, item: Construct) -> None:
        self.prefix, self.number = counted(name) or ("", -1)
        self.item = item

    @cached_property
    def shape(self) -> str:
        return repr(shape_of(self.item))

    @cached_property
    def values(self) -> list[Any]:
        return [cell.value for cell in cells_of(self.item)]

    def steps(self, before: _Counted) -> list[Any] | None:
        """How much each number has grown since the module before; None where one differs that does not count."""
        pairs = list(zip(before.values, self.values, strict=True))
        if any(key_of(left) != key_of(right) and not type(left) is type(right) is int for left, right in pairs):
            return None
        return [right - left if type(left) is int else 0 for left, right in pairs]

    def follows(self, run: Sequence[_Counted]) -> bool:
        """Whether a loop over the modules before goes on with this one."""
        last = run[-1]
        if self.number < 0 or (self.prefix, self.number) != (last.prefix, last.number + 1) or self.shape != last.shape:
            return False
        steps = self.steps(last)
        return steps is not None and (len(run) < 2 or steps == run[1].steps(run[0]))


class ModuleLists:
    """The lists of modules that the body of one module can loop over (`loops.Lists`)."""

    def __init__(self, modules: dict[str, Module], path: str) -> None:
        self.modules, self.path = modules, path
        self.numbered = numbered(list(modules[path].children))

    def item(self, node: ast.AST) -> tuple[str, int] | None:
        match node:
            case ast.Subscript(value=ast.expr() as owner, slice=ast.Constant(value=int() as index)):
                text = ast.unparse(owner)
                is_result = any(isinstance(part, ast.Call) for part in ast.walk(owner))
                return (text, index) if text.startswith("self.") and type(index) is int and not is_result else None
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
