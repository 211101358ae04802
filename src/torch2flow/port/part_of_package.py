"""One module of an installed package with what it imports from that package, as a smaller package of the same name.

    torchvision.models.resnet     models/resnet.py, models/_api.py, ops/misc.py, ...

An `__init__.py` comes along as it is where something is imported from it; elsewhere an empty one is in its place, since
that of a large package imports all of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch2flow.port.scopes import ResolveFrom
from torch2flow.port.tree import SourceTree, installed, read_tree

BARE = Path(__file__).with_name("bare_package.py")


def installed_tree(name: str, python: str | None = None, out: Path | None = None) -> SourceTree:
    """What there is to port of an installed package, or for a module of one.

    Args:
        name: `torchvision` or `torchvision.models.resnet`.
        python: the interpreter that has it; None for this one.
        out: where the result goes. One module goes into a file `.py` alone.

    Raises:
        UsageError: there is none of this name.
    """
    place, package = installed(name, python), name.partition(".")[0]
    if package == name or (out is not None and out.suffix == ".py"):
        return read_tree(place, out)
    return _part_of_package(installed(package, python), name)


def _part_of_package(folder: Path, name: str) -> SourceTree:
    package, *parts = name.split(".")
    needed = _Needed(folder, package)
    needed.add(parts)
    for file in folder.joinpath(*parts).rglob("*.py"):
        needed.add(list(file.relative_to(folder).with_suffix("").parts))
    while needed.pending:
        needed.read(needed.pending.pop())
    tree = SourceTree(folder, package)
    tree.elsewhere = dict.fromkeys(needed.packages() - needed.files, BARE)
    tree.files = sorted(needed.files | set(tree.elsewhere))
    return tree


@dataclass
class _Needed:
    """What is needed so far.

    Attributes:
        files: their paths in the folder.
        pending: those of them that were not read yet.
    """

    folder: Path
    package: str
    files: set[str] = field(default_factory=set)
    pending: list[str] = field(default_factory=list)

    def add(self, parts: list[str]) -> bool:
        """Adds the file of a module, or the `__init__.py` of a package; whether there is one."""
        for path in ("/".join([*parts, "__init__.py"]), "/".join(parts) + ".py"):
            if (self.folder / path).is_file():
                if path not in self.files:
                    self.files.add(path)
                    self.pending.append(path)
                return True
        return False

    def read(self, path: str) -> None:
        """Adds what one file imports of the package."""
        try:
            tree = ast.parse((self.folder / path).read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return  # porting tells of it
        within = path.split("/")[:-1]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first, *parts = alias.name.split(".")
                    if first == self.package:
                        self.add(parts)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node, within)
                if base is not None:
                    self._add_names(base, [alias.name for alias in node.names])

    def _base(self, node: ast.ImportFrom, within: list[str]) -> list[str] | None:
        """The module that names are imported from, by its path in the package; None for one outside."""
        resolve = ResolveFrom(".".join([self.package, *within]))
        first, *parts = resolve(node.level, node.module).lstrip(".").split(".")
        return parts if first == self.package else None

    def _add_names(self, base: list[str], names: list[str]) -> None:
        if not (self.folder / "/".join(base)).is_dir():
            self.add(base)
            return
        found = [name for name in names if self._is_module([*base, name]) and self.add([*base, name])]
        if len(found) < len(names):
            self.add(base)

    def _is_module(self, parts: list[str]) -> bool:
        place = self.folder / "/".join(parts)
        return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()

    def packages(self) -> set[str]:
        """The `__init__.py` of each folder that a file lies in."""
        return {path for file in self.files for path in self._around(file) if (self.folder / path).is_file()}

    def _around(self, file: str) -> Iterator[str]:
        parts = file.split("/")[:-1]
        for depth in range(len(parts) + 1):
            yield "/".join([*parts[:depth], "__init__.py"])
