"""Ports a tree: reads every file once for its names and once to rewrite it, and writes all of it or nothing."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from torch2flow._version import __version__
from torch2flow.checkpoints.writing.kernel_copy import write_file
from torch2flow.checkpoints.writing.renaming import COMPILED
from torch2flow.checkpoints.writing.staging import Entries, Output, Staging, output_error
from torch2flow.errors import FormatError, OutputError, UsageError
from torch2flow.guards.json_text import parse_object, to_json_text
from torch2flow.guards.regular_files import file_digest, read_whole
from torch2flow.port.cache import Cache
from torch2flow.port.compat_module import COMES_ALONG, served_names
from torch2flow.port.findings import PortFinding, Tally
from torch2flow.port.forms import NEEDS_PYTORCH
from torch2flow.port.kept_tree import KeptTree
from torch2flow.port.notebooks import port_notebook
from torch2flow.port.packaging import read_packaging
from torch2flow.port.processes import count_of_processes, in_processes
from torch2flow.port.project import Project, SourceModule
from torch2flow.port.rewriting import Rewriter
from torch2flow.port.source import PythonText, followed, read_source
from torch2flow.port.tree import SourceTree, is_python
from torch2flow.port.under_way import COMPAT, Place

RECORD = ".torch2flow-port.json"
"""In a ported folder: the files that were written, so that `--overwrite` knows what it may replace."""

LARGEST = 1 << 26
"""Bytes of the largest file that is read as source."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class Ported:
    """What a port did.

    Attributes:
        tally: findings and counts over all files.
        files: how many files of Python were read.
        changed: how many of them differ from the author's.
        compat: the compatibility modules, each with the names of PyTorch that it stands for.
        out: what was written; None for `--check`.
    """

    tally: Tally = field(default_factory=Tally)
    files: int = 0
    changed: int = 0
    compat: dict[str, set[str]] = field(default_factory=dict)
    out: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "torch2flow": __version__,
            "out": str(self.out) if self.out is not None else None,
            "files": self.files,
            "lines": self.tally.lines,
            "changed": self.changed,
            "uses": {name: self.tally.uses[name] for name in ("same", "compat", "dropped", "cannot")},
            "compat": {path: sorted(names) for path, names in sorted(self.compat.items())},
            "findings": [finding.to_json() for finding in self.tally.findings],
        }


class Port:
    """A tree on its way.

    Args:
        tree: what is ported.
        progress: called with the number of bytes that were done since the last call.
        requirements: files that ask for PyTorch to be installed ask for OneFlow in the result.
        cache: what was ported before, which is taken while nothing has changed.
        rules: what stands for the content of the user's own rules.
    """

    def __init__(
        self,
        tree: SourceTree,
        progress: Progress = lambda count: None,
        requirements: bool = False,
        cache: Cache | None = None,
        rules: str = "",
    ) -> None:
        self.tree, self.progress, self.requirements = tree, progress, requirements
        self._kept = KeptTree(tree, cache or Cache(None), requirements, rules)
        self.result = Ported()
        self.project = Project()
        self.modules: dict[str, SourceModule] = {}
        self._roots: dict[str, str] = {}
        self._along: dict[str, set[str]] = {}
        self._path_folders: set[str] = set()

    def check(self) -> Ported:
        """Finds what there is to find, and writes nothing."""
        for _ in self._texts():
            pass
        if self.tree.files == [""] and not self.result.files:
            raise FormatError(self.result.tally.findings[0].reason, where=str(self.tree.root))
        return self._ended()

    def write(self, out: Path, overwrite: bool) -> Ported:
        """Writes the ported tree.

        Raises:
            OutputError: it exists, or can't be written.
        """
        single = self.tree.files == [""]
        if single and out.name == f"{COMPAT}.py":
            raise UsageError(f"{COMPAT}.py is the name of what is written beside it.", where=str(out))
        if os.path.lexists(out) and not overwrite:
            raise OutputError("The output exists.", where=str(out), remedy="choose another -o, or add --overwrite")
        compat = Output(out.parent / f"{COMPAT}.py", self._objection_to_compat)
        outputs = [
            Output(out, lambda path, entries: self._objection(path, entries, overwrite)),
            *([compat] if single else []),
        ]
        work, parts = f"port {self.tree.root}", _Parts({*self.tree.files, RECORD})
        with Staging(*outputs, overwrite=True, work=work, parts=parts, sources=self._sources) as staging:
            try:
                if single:
                    self._write_single(staging.paths, compat.path)
                else:
                    self._write_folder(staging.paths[0])
            except OSError as error:
                raise output_error(error, out) from None
            if self.result.files or not single:
                staging.commit()
        self.result.out = out
        return self._ended()

    def _write_single(self, paths: list[Path], standing: Path) -> None:
        for _, data in self._texts():
            write_file(paths[0], data)
            self._kept.note_written(data)
        if not self.result.files:
            raise FormatError(self.result.tally.findings[0].reason, where=str(self.tree.root))
        for names in self.result.compat.values():
            names |= _served_by(standing)
            written = self._kept.compat_source(names)
            write_file(paths[1], written)
            self._kept.note_written(written)
        if not self.result.compat and standing.exists():
            shutil.copyfile(standing, paths[1])

    def _write_folder(self, folder: Path) -> None:
        folder.mkdir()
        written: dict[str, bytes | None] = {}
        for path, data in self._texts():
            written[path] = data
            _make(folder, path, data)
        for path in self.tree.files:
            if path not in written:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.tree.file(path), folder / path)
                self.progress((folder / path).stat().st_size)
            if (folder / path).is_file() and self.tree.file(path).stat().st_mode & stat.S_IXUSR:
                (folder / path).chmod((folder / path).stat().st_mode | 0o111)
        for path, names in self.result.compat.items():
            if path in self.tree.files and not _served_by(self.tree.file(path)):
                raise UsageError(
                    f"The source has a {COMPAT}.py of its own, where that of its ported code has to lie.",
                    where=path,
                    remedy="give it another name",
                )
            _make(folder, path, self._kept.compat_source(names))
        rows = []
        for path in sorted({*self.tree.files, *self.result.compat}):
            if (folder / path).is_file():
                rows.append({"path": path, "sha256": file_digest(folder / path)})
        head = {"torch2flow": __version__, "kind": "port", "files": rows}
        write_file(folder / RECORD, (to_json_text(head, indent=1) + "\n").encode())

    def _sources(self) -> Iterator[tuple[int, int]]:
        """What is ported, which no output may take the place of."""
        for file in (self.tree.root, *map(self.tree.file, self.tree.files)):
            with suppress(OSError):
                status = file.stat()
                yield status.st_dev, status.st_ino

    def _objection(self, out: Path, entries: Entries, overwrite: bool) -> str:
        """Why what has the name of the output is not replaced; "" where it may be."""
        if not overwrite:
            return "it was not there when the work began"
        try:
            if out.is_dir():
                return _objection_to_folder(out, entries)
            return "" if self._kept.was_written(read_whole(out, LARGEST)) else "it is not as `torch2flow port` wrote it"
        except FormatError as error:
            return error.what

    def _objection_to_compat(self, out: Path, entries: Entries) -> str:
        try:
            data = read_whole(out, LARGEST)
        except FormatError as error:
            return error.what
        names = served_names(data.decode("utf-8", "replace"))
        if not names:
            return "it is none that `torch2flow port` wrote"
        is_as_written = self._kept.was_written(data) or data == self._kept.compat_source(names)
        return "" if is_as_written else "it was changed since `torch2flow port` wrote it"

    def _ended(self) -> Ported:
        self.result.tally.findings.sort()
        return self.result

    # -- reading and rewriting -----------------------------------------------------------------------------------------

    def _texts(self) -> Iterator[tuple[str, bytes]]:
        """The ported files, one after the other: as they were kept, or ported now and kept."""
        result, kept = self.result, self._kept.find()
        if kept is not None:
            result.tally, result.compat, (result.files, result.changed), paths, texts = kept
            for path in paths:
                yield path, texts[path] if path in texts else self.tree.file(path).read_bytes()
            return
        paths, texts = [], {}
        for path, data in self._ported_texts():
            paths.append(path)
            if data != self.tree.file(path).read_bytes():
                texts[path] = data
            yield path, data
        self._kept.keep(result.tally, result.compat, [result.files, result.changed], paths, texts)

    def _ported_texts(self) -> Iterator[tuple[str, bytes]]:
        self.result.tally.findings += self.tree.findings
        python = [path for path in self.tree.files if is_python(path, self.tree.file(path))]
        for path in python:
            module = SourceModule(self.tree.module(path), path.rsplit("/", 1)[-1] == "__init__.py")
            if self._read(path, module):
                self.modules[path] = module
        self._find_path_folders()
        self._find_namespaces()
        ours = [path for path in self.tree.files if path in self.modules]
        count = count_of_processes(sum(self.tree.file(path).stat().st_size for path in ours))
        rewritten = in_processes(self._rewritten, ours, count)
        for path in self.tree.files:
            if path in self.modules:
                data, tally, is_changed = next(rewritten)
                self.result.files += 1
                self.result.changed += is_changed
                self._note(path, Tally.from_plain(tally))
                yield path, self._packaged(path, data) or data
            elif (path or self.tree.root.name).endswith(".ipynb"):
                yield from self._notebook(path)
            elif path in python:
                continue  # it is told why it can't be read, and is copied as it is
            else:
                changed = self._packaged(path)
                if changed is None:
                    continue
                yield path, changed
            self.progress(self.tree.file(path).stat().st_size)
        self._join_compat()

    def _read(self, path: str, module: SourceModule) -> bool:
        """Whether a file can be read; then the project knows it."""
        try:
            source = read_source(read_whole(self.tree.file(path), LARGEST), names_only=True)
            with followed():
                self.project.add(module, source)
        except FormatError as error:
            remedy = f"it is copied as it is{'; ' + error.maybe if error.maybe else ''}"
            self.result.tally.findings.append(PortFinding(path, 0, "error", "", error.what, remedy))
            return False
        return True

    def _rewritten(self, path: str) -> tuple[bytes, tuple[Any, ...], bool]:
        """What a file of Python becomes, what was found in it, and whether it is another than before."""
        file = self.tree.file(path)
        original = read_whole(file, LARGEST)
        try:
            source = read_source(original)
            name, place = path or file.name, self._place(path, source)
            with followed():
                tally = Rewriter(source, self.modules[path], self.project, name, place).run()
        except FormatError as error:
            tally = Tally([PortFinding(path, 0, "error", "", error.what, "it is copied as it is")])
            return original, tally.to_plain(), False
        data = source.encoded() if source.is_edited else original
        if source.is_edited:
            try:
                read_source(data, names_only=True)
            except FormatError as error:
                reason = f"What it became is no Python any more: {error.what}"
                tally.findings.append(PortFinding(path, 0, "error", "", reason, "it is copied as it is; report it"))
                data = original
        return data, tally.to_plain(), data is not original

    def _packaged(self, path: str, data: bytes | None = None) -> bytes | None:
        """What a file that asks for PyTorch becomes; None for any other, and where that was not asked for."""
        found = read_packaging(path, self.tree.file(path), data)
        self.result.tally.findings += found.findings
        return found.data if found.findings and self.requirements else None

    def _notebook(self, path: str) -> Iterator[tuple[str, bytes]]:
        file = self.tree.file(path)
        try:
            data, tally = port_notebook(read_whole(file, LARGEST), path or file.name, self.project)
        except FormatError as error:
            self.result.tally.findings.append(PortFinding(path, 0, "error", "", error.what, "it is copied as it is"))
            return
        self.result.files += 1
        self.result.changed += data != file.read_bytes()
        self._note(path, tally)
        yield path, data

    def _note(self, path: str, tally: Tally) -> None:
        self.result.tally.add(tally)
        if tally.compat - COMES_ALONG:
            self.result.compat.setdefault(self._compat_file(path), set()).update(tally.compat)
        elif tally.compat:
            self._along.setdefault(self._compat_file(path), set()).update(tally.compat)

    def _join_compat(self) -> None:
        """Gives all compatibility modules outside packages the same names: a program imports only one `flow_compat`,
        also where it searches several folders (`sys.path.append("utils")`)."""
        for path, names in self._along.items():
            if path in self.result.compat:
                self.result.compat[path] |= names
        loose = [path for path in self.result.compat if not self._is_package(self._folder(path))]
        joined = set().union(*(self.result.compat[path] for path in loose))
        self.result.compat |= {path: set(joined) for path in loose}

    # -- where the compatibility module is -----------------------------------------------------------------------------

    def _folder(self, path: str) -> str:
        return path.rpartition("/")[0]

    def _compat_folder(self, path: str) -> str:
        """The folder of the compatibility module: the outermost package around a file, or where imports of it begin."""
        folder = self._folder(path)
        if self._is_package(folder):
            while folder and self._is_package(self._folder(folder)):
                folder = self._folder(folder)
            return folder
        return self._roots.get(folder, folder)

    def _compat_file(self, path: str) -> str:
        folder = self._compat_folder(path)
        return f"{folder}/{COMPAT}.py" if folder else f"{COMPAT}.py"

    def _is_package(self, folder: str) -> bool:
        if folder in self._path_folders or not (folder or self.tree.name):
            return False
        return (f"{folder}/__init__.py" if folder else "__init__.py") in self.modules

    def _place(self, path: str, source: PythonText) -> Place:
        folder, home = self._folder(path), self._compat_folder(path)
        if not self._is_package(folder):
            return Place()
        depth = folder[len(home) :].strip("/").count("/") + 1 if folder != home else 0
        if _is_script(source) and (home or self.tree.name):
            above = self._folder(home)
            top = home[len(self._roots.get(above, above)) :].strip("/").replace("/", ".") or self.tree.name
            return Place(f"{top}.{COMPAT}")
        return Place("." * (depth + 1) + COMPAT)

    def _find_path_folders(self) -> None:
        """Packages whose files import one another as if their folder were on the path, and never relatively: it is."""
        importing: dict[str, set[str]] = {}
        for path, module in self.modules.items():
            found = [each.path for many in module.scope.imports.values() for each in many] + module.scope.stars
            importing.setdefault(self._folder(path), set()).update(each.partition(".")[0] for each in found)
        tops = (
            {self.tree.name}
            if self.tree.name
            else {path.partition("/")[0].removesuffix(".py") for path in self.modules}
        )
        for folder, names in importing.items():
            start = f"{folder}/" if folder else ""
            beside = {path[len(start) :].partition("/")[0] for path in self.modules if path.startswith(start)}
            others = {each.removesuffix(".py") for each in beside} - sys.stdlib_module_names - NEEDS_PYTORCH.keys()
            if (folder or self.tree.name) and "" not in names and names & (others - tops):
                self._path_folders.add(folder)

    def _find_namespaces(self) -> None:
        """Folders without `__init__.py` that are imported by a dotted name all the same: that begins further up."""
        for module in self.modules.values():
            found = [each for many in module.scope.imports.values() for each in many]
            paths = {each.plain or each.path for each in found} | set(module.scope.stars)
            for path in paths:
                located = self.project.located(path.lstrip("."), module)
                if located:
                    start = located[: len(located) - len(path.lstrip("."))].strip(".").replace(".", "/")
                    folder = located.replace(".", "/").rpartition("/")[0]
                    while folder and folder != start:
                        if not self._is_package(folder):
                            self._roots.setdefault(folder, start)
                        folder = self._folder(folder)


def _is_script(source: PythonText) -> bool:
    """Whether a file of a package is also run as a program: then a relative import in it would fail."""
    relative = any(isinstance(node, ast.ImportFrom) and node.level for node in source.tree.body)
    return not relative and bool(re.search(r"^if __name__ *== *['\"]__main__['\"]", source.text, re.MULTILINE))


def _make(folder: Path, path: str, data: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    write_file(folder / path, data)


def _served_by(file: Path) -> set[str]:
    """The names that a compatibility module stands for; empty where the file is none of ours."""
    with suppress(FormatError):
        return served_names(read_whole(file).decode("utf-8", "replace"))
    return set()


def _objection_to_folder(out: Path, entries: Entries) -> str:
    try:
        rows = parse_object(read_whole(out / RECORD), str(out / RECORD))["files"]
        known = {row["path"]: row["sha256"] for row in rows}
    except (FormatError, KeyError, TypeError):
        return "it is no folder that `torch2flow port` wrote"
    folders = {str(parent) for path in known for parent in PurePosixPath(path).parents}
    for path, status in entries:
        compiled = COMPILED.fullmatch(path)
        if stat.S_ISDIR(status.st_mode):
            is_known = path in folders or path.rpartition("/")[2] == "__pycache__"
        elif not stat.S_ISREG(status.st_mode):
            is_known = False
        elif compiled:
            is_known = f"{compiled[1]}{compiled[2]}.py" in known
        else:
            is_known = path == RECORD or (path in known and file_digest(out / path) == known[path])
        if not is_known:
            return f"it holds {path!r}, which was added or changed"
    return ""


class _Parts:
    """What the paths of files in an unfinished folder may be: other files there are somebody else's."""

    def __init__(self, paths: set[str]) -> None:
        self.paths = paths

    def fullmatch(self, path: str) -> bool:
        """Whether a file of this path may be one of ours."""
        return path in self.paths or path.rpartition("/")[2] == f"{COMPAT}.py"
