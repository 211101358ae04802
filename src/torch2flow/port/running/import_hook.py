"""Ports each module of a running program on its way in: an import hook over what Python itself would find.

Python's own finders say where a module lies. If it is the program's own, or a package that is ported along, its source
is rewritten by the rules of `torch2flow port`, and compiled under the names and lines of its author's file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import marshal
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from torch2flow.guards.regular_files import is_regular
from torch2flow.port.cache import Cache, cache_key, content_digest
from torch2flow.port.compat_module import TAKE_COMPLEX, is_of_complex
from torch2flow.port.running.located import Located

if TYPE_CHECKING:
    from torch2flow.port.running.ported_module import ModulePorter

HOLDER = "_torch2flow"
"""The package, which no file has, that holds the compatibility module of a running program."""

COMPAT = "flow_compat"
NEVER = frozenset({"torch", "oneflow", "flowvision", "torch2flow", HOLDER})
"""Packages that are no program's own, wherever they lie."""


class Porter:
    """Makes code for OneFlow of source for PyTorch.

    Args:
        along: packages that import PyTorch themselves, and are ported where they are installed.
        cache: what was ported before.
        rules: what stands for the user's own rules, if there are any.
        finders: how modules are found.
    """

    def __init__(self, along: Sequence[str], cache: Cache, rules: str, finders: Sequence[Any]) -> None:
        self.along, self.cache, self.rules, self.finders = frozenset(along), cache, rules, finders
        paths = sysconfig.get_paths()
        self._installed = {Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        self.modules: ModulePorter | None = None
        self._path = list(sys.path)
        self._located: dict[str, Located] = {}
        self._digests: dict[str, str] = {}

    # -- which modules -------------------------------------------------------------------------------------------------

    def find(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Where Python finds a module."""
        found = (finder.find_spec(name, path) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

    def is_ported(self, name: str, place: str | None) -> bool:
        """Whether a module that lies there is the program's own, or of a package that is ported along."""
        top = name.partition(".")[0]
        if not place or top in NEVER:
            return False
        return top in self.along or not self._is_installed(Path(place).resolve())

    def _is_installed(self, place: Path) -> bool:
        return not {"site-packages", "dist-packages"}.isdisjoint(place.parts) or any(
            each in place.parents for each in self._installed
        )

    def located(self, name: str) -> Located:
        """Where a module lies that is ported. Imports nothing."""
        if name not in self._located:
            self._located[name] = self._locate(name)
        return self._located[name]

    def _locate(self, name: str) -> Located:
        parent, _, last = name.rpartition(".")
        if parent:
            bases = [Path(folder, last) for folder in self.located(parent).folders]
            for base in bases:
                if is_regular(base / "__init__.py"):
                    return Located(str(base / "__init__.py"), (str(base),))
                if is_regular(base.with_name(f"{last}.py")):
                    return Located(f"{base}.py")
            return Located("", tuple(str(each) for each in bases if each.is_dir()))
        try:
            spec = self.find(name, None)
        except (ImportError, AttributeError, ValueError):
            return Located()
        folders = tuple((spec and spec.submodule_search_locations) or ())
        file = spec.origin if spec is not None and spec.has_location and spec.origin else ""
        if not self.is_ported(name, file or next(iter(folders), "")) or not file.endswith((".py", "")):
            return Located()
        return Located(file, folders)

    def digest(self, name: str) -> str:
        """What stands for the content of a module's file; "" where it is not ported."""
        if name not in self._digests:
            found = self.located(name)
            self._digests[name] = content_digest(_read(found.file)) if found.file else "-" * bool(found)
        return self._digests[name]

    # -- what they become ----------------------------------------------------------------------------------------------

    def code(self, name: str, file: str, data: bytes, is_package: bool) -> tuple[CodeType, list[str]]:
        """The code of a module for OneFlow, and the names of PyTorch that the compatibility module has to stand for.

        Raises:
            FormatError: it can't be ported.
        """
        key = cache_key(
            "module", name, is_package, file, sorted(self.along), self.rules, data,
            importlib.util.MAGIC_NUMBER, sys.flags.optimize,
        )  # fmt: skip
        kept = self.cache.get(key)
        if kept is not None:
            head, _, body = kept.partition(b"\n")
            row = json.loads(head)
            if all(self.digest(each) == digest for each, digest in row["depends"].items()):
                return marshal.loads(body), row["compat"]
        with self._own_imports():
            from torch2flow.port.running.author_lines import compile_ported
            from torch2flow.port.running.ported_module import ModulePorter
            from torch2flow.port.source import followed
        self.modules = self.modules or ModulePorter(self.located, f"{HOLDER}.{COMPAT}")
        made = self.modules.port(name, file, data, is_package)
        with followed():
            code = compile_ported(made.source, file)
        row = {"depends": {each: self.digest(each) for each in made.consulted}, "compat": sorted(made.tally.compat)}
        self.cache.put(key, json.dumps(row).encode() + b"\n" + marshal.dumps(code))
        return code, row["compat"]

    @contextlib.contextmanager
    def _own_imports(self) -> Iterator[None]:
        """What torch2flow itself imports is not looked for in the program's folder."""
        path = sys.path
        sys.path = self._path
        try:
            yield
        finally:
            sys.path = path

    def compat_code(self) -> CodeType:
        """The code of the whole compatibility module."""
        key = cache_key("compat", self.rules, importlib.util.MAGIC_NUMBER, sys.flags.optimize)
        kept = self.cache.get(key)
        if kept is None:
            with self._own_imports():
                from torch2flow.port.compat_module import whole_source
            source = whole_source()
            kept = marshal.dumps(compile(source, f"<{COMPAT} of torch2flow>", "exec", dont_inherit=True))
            self.cache.put(key, kept)
        code: CodeType = marshal.loads(kept)
        return code


class PortingFinder:
    """Finds modules in the way of Python's own finders, and has those of the program ported. There is no PyTorch."""

    def __init__(self, porter: Porter) -> None:
        self.porter = porter
        self.compat: dict[str, Any] | None = None
        self._put: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """As Python asks its finders."""
        if name.partition(".")[0] == "torch":
            return None
        spec = self.porter.find(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader and self.porter.is_ported(name, spec.origin):
            spec.loader = PortingLoader(self, name, str(spec.origin))
        return spec

    def find_distributions(self, *args: Any, **named: Any) -> Iterator[Any]:
        """For `importlib.metadata`."""
        for finder in self.porter.finders:
            if hasattr(finder, "find_distributions"):
                yield from finder.find_distributions(*args, **named)

    def invalidate_caches(self) -> None:
        """Files were added."""
        for finder in self.porter.finders:
            if hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()

    def code(self, name: str, file: str, data: bytes, is_package: bool) -> CodeType:
        """The code of a module, for which what it needs of the compatibility module is put into OneFlow."""
        from torch2flow.errors import FormatError

        try:
            code, needed = self.porter.code(name, file, data, is_package)
        except FormatError as error:
            code = compile(data, file, "exec", dont_inherit=True)  # Python says what is wrong with it
            if b"torch" in data:
                raise ImportError(f"{file} can't be ported: {error.what}", name=name, path=file) from None
            return code
        if needed:
            self._provide(needed)
        return code

    def _provide(self, names: Sequence[str]) -> None:
        if self.compat is None:
            holder, module = ModuleType(HOLDER), ModuleType(f"{HOLDER}.{COMPAT}")
            sys.modules[HOLDER], sys.modules[module.__name__] = holder, module
            holder.__path__ = []
            setattr(holder, COMPAT, module)
            self.compat = vars(module)
            exec(self.porter.compat_code(), self.compat)
        if any(map(is_of_complex, names)):
            self.compat[TAKE_COMPLEX](self.compat["FUNCTIONS"], self.compat)
        for name in names:
            if name in self._put:
                continue
            self._put.add(name)
            if name in self.compat["METHODS"]:
                owner, attribute, value = self.compat["METHODS"][name]
                setattr(owner, attribute, value)
            elif name in self.compat["SETUPS"]:
                self.compat["SETUPS"][name]()
            elif name.startswith("names of "):
                self._names_of(name.removeprefix("names of "))

    def _names_of(self, path: str) -> None:
        """A module of PyTorch's of which the code looks names up as text."""
        assert self.compat is not None
        there = ModuleType(path)
        vars(there).update(vars(importlib.import_module(f"oneflow{path[5:]}")))
        vars(there).update(self.compat["MODULES"].get(path, {}))
        self.compat[path.replace(".", "_")] = there


class PortingLoader(SourceFileLoader):
    """Loads a module that is ported. What it is asked for as text is its author's."""

    def __init__(self, finder: PortingFinder, name: str, file: str) -> None:
        super().__init__(name, file)
        self.finder = finder

    def get_code(self, fullname: str) -> CodeType:
        """The ported code."""
        path = self.get_filename(fullname)
        return self.finder.code(fullname, path, self.get_data(path), self.is_package(fullname))


def install(along: Sequence[str], cache: Cache, rules: str = "") -> PortingFinder:
    """Ports what is imported from now on, and hides PyTorch."""
    own = [finder for finder in sys.meta_path if finder in (BuiltinImporter, FrozenImporter)]
    others = [finder for finder in sys.meta_path if finder not in own]
    finder = PortingFinder(Porter(along, cache, rules, others))
    sys.meta_path[:] = [*own, finder]
    return finder


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
