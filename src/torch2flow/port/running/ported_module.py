"""Ports modules one by one, as a running program imports them: what others bind is read when a name leads there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch2flow.errors import FormatError
from torch2flow.guards.regular_files import read_whole
from torch2flow.port.findings import Tally
from torch2flow.port.project import Project, SourceModule
from torch2flow.port.rewriting import Rewriter
from torch2flow.port.running.located import Located
from torch2flow.port.source import PythonText, followed, read_source
from torch2flow.port.under_way import Place

Locate = Callable[[str], Located]
"""Says where a module lies that is ported, by its name."""


@dataclass(slots=True)
class PortedModule:
    """What one module becomes.

    Attributes:
        source: its text, with the edits.
        tally: what was found in it.
        consulted: the modules whose names were asked for, also those that are not ported.
    """

    source: PythonText
    tally: Tally = field(default_factory=Tally)
    consulted: set[str] = field(default_factory=set)


class ModulePorter:
    """Ports modules.

    Args:
        locate: where modules are.
        place: the dotted path of the compatibility module.
    """

    def __init__(self, locate: Locate, place: str) -> None:
        self.locate, self.place = locate, Place(place)
        self._heads: dict[str, SourceModule | None] = {}

    def port(self, name: str, file: str, data: bytes, is_package: bool, shown: str = "") -> PortedModule:
        """Ports one module.

        Args:
            name: its dotted name, by which its relative imports are resolved.
            file: its file.
            data: what is in the file.
            is_package: it is an `__init__.py`.
            shown: its name in findings.

        Raises:
            FormatError: it is no Python source.
        """
        source = read_source(data)
        consulted: set[str] = set()
        project = _ImportedProject(_Modules(self.head, consulted))
        module = SourceModule(name, is_package)
        with followed():
            project.take(module, source)
            tally = Rewriter(source, module, project, shown or file, self.place).run()
        return PortedModule(source, tally, consulted)

    def head(self, name: str) -> SourceModule | None:
        """What another module binds at its head; None where it is not ported."""
        if name not in self._heads:
            found = self.locate(name)
            self._heads[name] = self._read_head(name, found) if found else None
        return self._heads[name]

    def _read_head(self, name: str, found: Located) -> SourceModule | None:
        module = SourceModule(name, bool(found.folders))
        try:
            source = read_source(read_whole(Path(found.file)), names_only=True) if found.file else None
        except FormatError:
            return None
        if source is not None:
            try:
                with followed():
                    _ImportedProject({}).take(module, source)
            except FormatError:
                return None
        return module


class _Modules(dict[str, SourceModule]):
    """The modules of a program by name, each read when it is asked for."""

    def __init__(self, head: Callable[[str], SourceModule | None], consulted: set[str]) -> None:
        self._head, self._consulted = head, consulted

    def __contains__(self, name: object) -> bool:
        self._consulted.add(str(name))
        return self._head(str(name)) is not None

    def __missing__(self, name: str) -> SourceModule:
        found = self._head(name)
        if found is None:
            raise KeyError(name)
        return found


class _ImportedProject(Project):
    """A project whose modules are known by the names under which Python imports them."""

    def take(self, module: SourceModule, source: PythonText) -> None:
        """Reads what a module binds, without making it one that others import."""
        modules, self.modules = self.modules, {}
        self.add(module, source)
        self.modules = modules

    def located(self, path: str, module: SourceModule) -> str:
        return path if path.partition(".")[0] in self.modules else ""
