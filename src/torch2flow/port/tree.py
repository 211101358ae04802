"""Which files are ported, and where the compatibility module of each will be: a file, a package, a folder of scripts.

Nothing is imported or run: a package that is installed is found by the folders in which an interpreter looks for it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path

from torch2flow.errors import FormatError, UsageError
from torch2flow.guards.child_python import bare_python
from torch2flow.port.findings import PortFinding

SKIPPED = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".tox", ".venv"}
)
"""Folders that belong to tools, not to the code."""

_PACKAGING = ("setup.py", "setup.cfg", "pyproject.toml")
"""Beside an `__init__.py`, these tell that the folder is a repository, whose packages lie inside."""

_SHEBANG = re.compile(rb"#!.*\bpython")


@dataclass(slots=True)
class SourceTree:
    """What is ported.

    Attributes:
        root: the folder of it all, or the one file.
        name: the first part of the dotted paths in it: a package's own name; "" for a folder of scripts.
        files: the paths of all files in `root`, `/` between their parts; "" is the file `root` itself.
        elsewhere: the file that a path is read from, where that lies outside `root`.
        findings: what is not ported, and why.
    """

    root: Path
    name: str = ""
    files: list[str] = field(default_factory=list)
    elsewhere: dict[str, Path] = field(default_factory=dict)
    findings: list[PortFinding] = field(default_factory=list)

    def file(self, path: str) -> Path:
        """Where a file of it lies."""
        return self.elsewhere.get(path) or (self.root / path if path else self.root)

    def nbytes(self) -> int:
        """How large all files are together."""
        return sum(self.file(path).stat().st_size for path in self.files)

    def module(self, path: str) -> str:
        """The dotted path of a file of Python source."""
        if not path:
            return self.root.stem
        parts = path.rsplit(".", 1)[0].split("/") if path.endswith((".py", ".pyw", ".pyi")) else path.split("/")
        if parts[-1] == "__init__":
            parts.pop()
        return ".".join([*([self.name] if self.name else []), *parts])


def read_tree(source: Path, out: Path | None = None) -> SourceTree:
    """Lists what there is to port in a file or folder.

    Args:
        source: the file or folder.
        out: where the result goes, which is no part of it.

    Raises:
        FormatError: it does not exist, or is neither.
        UsageError: the result would lie inside it.
    """
    try:
        status = source.stat()
    except OSError as error:
        raise FormatError(f"It can't be read: {error.strerror}.", where=str(source), remedy="check the path") from None
    if stat.S_ISREG(status.st_mode):
        return SourceTree(source, files=[""])
    if not stat.S_ISDIR(status.st_mode):
        raise FormatError("This is neither a file nor a folder.", where=str(source))
    if out is not None and _holds(source, out):
        raise UsageError(
            "The output would lie inside the source.", remedy="choose a -o outside, or port the folder inside alone"
        )
    is_package = (source / "__init__.py").exists() and not any((source / each).exists() for each in _PACKAGING)
    tree = SourceTree(source, source.resolve().name if is_package else "")
    _list(tree, "")
    return tree


def add_package(tree: SourceTree, name: str, place: Path) -> None:
    """Ports an installed package along with a folder: it lies beside the code, under its own name.

    Raises:
        UsageError: the folder has something of this name already, or there is no folder.
    """
    if tree.files == [""] or tree.name or any(path.split("/")[0] in (name, f"{name}.py") for path in tree.files):
        raise UsageError(f"{name} can be ported along with a folder of scripts that has nothing of this name itself.")
    other = read_tree(place)
    for path in other.files:
        inside = f"{name}/{path}" if path else f"{name}.py"
        tree.files.append(inside)
        tree.elsewhere[inside] = other.file(path)
    tree.findings += other.findings
    tree.files.sort()


def _holds(source: Path, out: Path) -> bool:
    """Whether a path, which need not exist, lies in a folder or is it."""
    inside, folder = out.resolve(), source.resolve()
    return inside == folder or folder in inside.parents


def _list(tree: SourceTree, start: str) -> None:
    pending = [start]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(tree.root / folder), key=lambda entry: entry.name)
        except OSError as error:
            tree.findings.append(PortFinding(folder, 0, "error", "", f"The folder can't be read: {error.strerror}."))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            why = _list_entry(tree, entry, path, pending)
            if why:
                tree.findings.append(PortFinding(path, 0, "error", "", why, "it is left out"))
    tree.files.sort()


def _list_entry(tree: SourceTree, entry: os.DirEntry[str], path: str, pending: list[str]) -> str:
    """Takes one entry of a folder; returns why it is left out, or ""."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "Its name is no text."
    if entry.is_symlink():
        target = Path(entry.path).resolve()
        if tree.root.resolve() not in target.parents:
            return "It is a link that leads out of the folder."
        if not target.is_file():
            return "It is a link to no file."
        tree.files.append(path)
    elif entry.is_dir():
        if entry.name not in SKIPPED and not entry.name.endswith((".egg-info", ".dist-info")):
            pending.append(path)
    elif entry.is_file() and entry.name.endswith((".so", ".pyd", ".dylib")):
        return "It is compiled, and what is compiled for PyTorch does not load without it."
    elif entry.is_file():
        if not entry.name.endswith((".pyc", ".pyo")):
            tree.files.append(path)
    else:
        return "It is no regular file."
    return ""


def is_python(path: str, file: Path) -> bool:
    """Whether a file is Python source: by its name, or by its first line."""
    if path.endswith((".py", ".pyw")) or (not path and file.suffix != ".ipynb"):
        return True
    if "." in path.rsplit("/", 1)[-1]:
        return False
    try:
        with open(file, "rb") as stream:
            return bool(_SHEBANG.match(stream.read(80)))
    except OSError:
        return False


def installed(name: str, python: str | None = None) -> Path:
    """Where an installed package or module lies, by the path for imports of an interpreter; nothing is imported.

    Args:
        name: `torchvision` or `torchvision.models.resnet`.
        python: the interpreter; None for this one.

    Raises:
        UsageError: there is none of this name.
    """
    folders = _import_path(python)
    first, *rest = name.split(".")
    spec = PathFinder.find_spec(first, folders)
    found = Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None
    place = found.parent if found is not None and found.name == "__init__.py" else found
    for part in rest:
        if place is None or found is None:
            break
        folder = place / part
        place = folder if (folder / "__init__.py").is_file() else folder.with_suffix(".py")
        place = place if place.exists() else None
    if place is None or place.suffix not in ("", ".py"):
        raise UsageError(
            f"There is no package {name!r} written in Python.",
            remedy="--python PATH names the interpreter in which it is installed",
        )
    return place


def _import_path(python: str | None) -> list[str]:
    if python is None:
        return [entry for entry in sys.path if entry]
    try:
        command = bare_python(python, "import json, sys; print(json.dumps(sys.path))")
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        return [str(entry) for entry in json.loads(done.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"The interpreter {python!r} can't be asked where its packages are: {error}.") from None
