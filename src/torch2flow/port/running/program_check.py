"""What OneFlow can't do of a program, told before it is run: its modules are followed by their imports, and not run."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator

from torch2flow.errors import FormatError
from torch2flow.guards.regular_files import read_whole
from torch2flow.port.cache import Cache
from torch2flow.port.findings import PortFinding
from torch2flow.port.porting import Ported
from torch2flow.port.running.import_hook import COMPAT, Porter
from torch2flow.port.running.ported_module import ModulePorter
from torch2flow.port.running.program import ALONG, RunRequest, main_file
from torch2flow.port.source import PythonText


def check_program(request: RunRequest) -> Ported:
    """Ports each module that a program imports, wherever in it that is written, and keeps what was found.

    Raises:
        UsageError: there is no such program.
        FormatError: it is no Python source.
    """
    before = list(sys.path)
    try:
        porter = Porter(sorted({*ALONG, *request.along}), Cache(None), "", list(sys.meta_path))
        return _followed(porter, *main_file(request, porter))
    finally:
        sys.path[:] = before


def _followed(porter: Porter, name: str, file: str) -> Ported:
    done, modules = Ported(), ModulePorter(porter.located, COMPAT)
    pending, seen = [(name, file)], {name}
    while pending:
        name, file = pending.pop()
        try:
            made = modules.port(name, file, read_whole(file), bool(porter.located(name).folders), _shown(file))
        except FormatError as error:
            if not done.files:
                raise FormatError(error.what, where=_shown(file), maybe=error.maybe) from None
            done.tally.findings.append(PortFinding(_shown(file), 0, "error", "", error.what))
            continue
        done.files += 1
        done.changed += made.source.is_edited
        done.tally.add(made.tally)
        for each in _imported(made.source, name, bool(porter.located(name).folders)):
            found = porter.located(each)
            if each not in seen and found.file:
                pending.append((each, found.file))
            seen.add(each)
    done.tally.findings.sort()
    return done


def _shown(file: str) -> str:
    short = os.path.relpath(file)
    return file if short.startswith(os.pardir) else short


def _imported(source: PythonText, name: str, is_package: bool) -> Iterator[str]:
    """The modules that a file may import, each after the packages that it lies in."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            paths = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for path in paths:
            parts = path.split(".")
            yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
