"""The files that are ported together, and what names mean across them: re-exports, `from .layers import *`.

A file is known by the dotted path that an import of it has. What is kept of it is the scope of its module alone: trees
of syntax take 500 bytes a node, and a package of 130,000 lines has 1.5 million.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch2flow.port.lookup import MODULES, find, is_foreign
from torch2flow.port.rebinding import FOR_EVER, spans_bound_anew
from torch2flow.port.scopes import Imported, ResolveFrom, Scope, scopes_of
from torch2flow.port.source import PythonText


@dataclass(slots=True, eq=False)
class SourceModule:
    """One file of Python source.

    Attributes:
        path: its dotted path, from the folder that holds the whole tree: `some_nets.models.resnet`.
        is_package: it is an `__init__.py`.
        scope: the names that its module binds.
        alias: what `import torch` binds in the ported file.
    """

    path: str
    is_package: bool = False
    scope: Scope = field(default_factory=lambda: Scope("module"))
    alias: str = "flow"

    @property
    def package(self) -> str:
        """The path of the package that it lies in, or is."""
        return self.path if self.is_package else self.path.rpartition(".")[0]

    @property
    def resolve_from(self) -> ResolveFrom:
        """Makes the paths of modules out of its relative imports."""
        return ResolveFrom(self.package)


@dataclass(slots=True)
class Project:
    """All files of a tree, by their dotted paths."""

    modules: dict[str, SourceModule] = field(default_factory=dict)
    _known: dict[tuple[str, str], Meaning] = field(default_factory=dict)

    def add(self, module: SourceModule, source: PythonText) -> None:
        """Takes note of a file."""
        module.scope = scopes_of(source.tree, module.resolve_from, whole=False)[source.tree]
        for name in module.scope.imports.keys() & module.scope.others:
            if any(span.end == FOR_EVER for span in spans_bound_anew(source.tree.body, name)):
                del module.scope.imports[name]
        module.alias = "oneflow" if re.search(r"\bflow\b", source.text) and _has_name(source.tree, "flow") else "flow"
        self.modules[module.path] = module

    def meaning(self, imported: Imported, module: SourceModule) -> Meaning:
        """What an import binds a name to, seen from the file that has it."""
        key = (imported.path, module.package)
        if key not in self._known:
            self._known[key] = Meaning()  # a circle of imports means nothing of PyTorch's
            self._known[key] = self._resolve(imported.path, module)
        found = self._known[key]
        if imported.plain and found.path == imported.path:
            return Meaning(found.path, "flowvision" if found.path == "torchvision" else module.alias)
        return found

    def _resolve(self, path: str, module: SourceModule) -> Meaning:
        if path.startswith("."):
            return self._inside(path[1:])
        if is_foreign(path) and path.partition(".")[0] not in self.modules:
            return Meaning(path)
        start = self.located(path, module)
        return self._inside(start) if start else Meaning()

    def located(self, path: str, module: SourceModule) -> str:
        """The path in this tree of what an absolute import names; "" where it is none of it."""
        folder = module.package
        while True:  # a script finds what lies beside it, a module what lies beside its package
            start = f"{folder}.{path}" if folder else path
            if start in self.modules or start.rpartition(".")[0] in self.modules:
                return start
            if not folder:
                return path if path.partition(".")[0] in self.modules else ""
            folder = folder.rpartition(".")[0]

    def _inside(self, path: str) -> Meaning:
        """What a dotted path means that starts in this tree: a module of it, or what one of them binds."""
        if path in self.modules:
            return Meaning(f".{path}")
        holder, _, name = path.rpartition(".")
        if not holder:
            return Meaning()
        found = self._inside(holder)
        return self.attribute(found, name) if found.path.startswith(".") else Meaning()

    def attribute(self, owner: Meaning, name: str) -> Meaning:
        """What an attribute of a module of this tree means."""
        path = owner.path[1:]
        if path not in self.modules:
            return Meaning()
        found = self.bound(self.modules[path], name)
        return Meaning(f".{path}.{name}") if not found and f"{path}.{name}" in self.modules else found

    def bound(self, module: SourceModule, name: str) -> Meaning:
        """What the module's own scope binds a name to."""
        scope = module.scope
        meanings = [self.meaning(each, module) for each in scope.imports.get(name, ())]
        foreign = (each for each in meanings if is_foreign(each.path))
        found = next(foreign, next(iter(meanings), Meaning()))
        if found or name in scope.others:
            return found
        return self.starred(scope.stars, name, module)

    def starred(self, stars: Iterable[str], name: str, module: SourceModule) -> Meaning:
        """What `from MODULE import *` binds a name to."""
        if name.startswith("_"):
            return Meaning()
        for star in reversed(list(stars)):
            owner = self.meaning(Imported(star), module)
            if is_foreign(owner.path):
                full = f"{owner.path}.{name}"
                if full in MODULES or find(full).status != "cannot":
                    return Meaning(full, starred=True)
            elif owner.path.startswith("."):
                key = (f"*{owner.path[1:]}.{name}", "")
                if key not in self._known:
                    self._known[key] = Meaning()
                    self._known[key] = self.bound(self.modules[owner.path[1:]], name)
                found = self._known[key]
                if found:
                    return found
        return Meaning()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means.

    Attributes:
        path: a dotted path of PyTorch's; of a file of the tree, its own with a point before it; "" for anything else.
        renamed: the name that it gets, where `import torch` becomes `import oneflow as flow`.
        starred: it comes from a `*` of PyTorch's own.
    """

    path: str = ""
    renamed: str = ""
    starred: bool = False

    def __bool__(self) -> bool:
        return bool(self.path)


def _has_name(tree: ast.Module, name: str) -> bool:
    """Whether a file has a name of its own that is this one."""
    parts = ("id", "arg", "name", "asname")
    return any(getattr(node, part, None) == name for node in ast.walk(tree) for part in parts)
