"""Writes the compatibility module: exactly the functions that some code uses, with what they call."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch2flow.models.codegen.source_text import SourceText, copied, formatted, joined
from torch2flow.port import (
    absent_gradients,
    batch_statistics,
    layer_inputs,
    missing,
    packages_asked,
    placement,
    tensor_attributes,
    whole_copies,
)
from torch2flow.port.compat import SUBSTITUTES, common, complex_functions, complex_tensors, fourier, methods
from torch2flow.port.source import parse_source
from torch2flow.port.substituting import methods_called
from torch2flow.port.torch_modules import MODULES

HEAD = '''"""What OneFlow 0.9.0 lacks, or does otherwise than PyTorch, for the code beside this file.

Each function has the signature of PyTorch's, and says in a line what is different in OneFlow. `torch2flow port` wrote
this file. It needs OneFlow alone, and can be read and changed like any other.
"""

'''
_LAZY = {"flow": "import oneflow as flow", "F": "import oneflow.nn.functional as F", "nn": "import oneflow.nn as nn"}
"""What substitutes are written with, as the imports of the module."""


OURS: dict[str, Any] = {
    "missing": missing.missing,
    "placement": placement.take_device_and_dtype,
    "attributes": tensor_attributes.keep_attributes,
    "gradients": absent_gradients.leave_absent_gradients,
    "copies": whole_copies.copy_whole,
    "of_type": methods.of_type,
    "samples": layer_inputs.take_samples_without_batch,
    "statistics": batch_statistics.keep_digits_of_batch_norm,
    "find_spec": packages_asked.find_spec,
    "stored": common.stored,
    "version": packages_asked.version,
}
"""What code may need that stands for no one name of PyTorch."""

CHANGES_ONEFLOW = ("placement", "attributes", "copies", "gradients", "samples", "statistics")
"""Of these, what is called once and changes OneFlow's own classes."""

COMES_ALONG = frozenset({"samples", "statistics"})
"""What code may need that seldom does: it is no reason to write a compatibility module, and is in one that there is."""

NAMES_OF = "names of "
"""Before the name of a module of PyTorch's: all of its names are wanted, since code looks them up by text."""

TAKE_COMPLEX = "take_complex_numbers"
"""The function of the module that lets OneFlow's functions take complex tensors: before any of them is looked up."""

_SERVES = "# It stands for: "


def served_names(text: str) -> set[str]:
    """The names that a module written earlier stands for; empty where it is none of ours."""
    line = next((each for each in text.splitlines()[:20] if each.startswith(_SERVES)), "")
    found = line.removeprefix(_SERVES).split(", ")
    return {name for name in found if name in SUBSTITUTES or name in OURS or name.removeprefix(NAMES_OF) in MODULES}


def is_of_complex(name: str) -> bool:
    """Whether code that uses a name of PyTorch's may make complex tensors."""
    found = SUBSTITUTES.get(name)
    return found is not None and found.function.__module__ in (complex_tensors.__name__, fourier.__name__)


def compat_source(names: Iterable[str]) -> SourceText:
    """The module for a set of names of PyTorch; `missing` is among them where OneFlow can't have some name."""
    wanted = sorted(names)
    places = [name.removeprefix(NAMES_OF) for name in wanted if name.startswith(NAMES_OF)]
    wanted += sorted(name for name in SUBSTITUTES if name.rpartition(".")[0] in places and name not in wanted)
    reasons: dict[Any, list[str]] = {function: [] for name, function in OURS.items() if name in wanted}
    for name in wanted:
        if name in SUBSTITUTES:
            reasons.setdefault(SUBSTITUTES[name].function, []).append(name)
    assembly = _Assembly({(_file_of(each), each.__name__): each.__name__ for each in reasons})
    for function, served in reasons.items():
        reason = f"{', '.join(served)}: {SUBSTITUTES[served[0]].because}" if served else ""
        assembly.add(_file_of(function), function.__name__, reason)
    methods = [
        f"{_place_of(name)} = " + ("property({})" if SUBSTITUTES[name].attribute else "{}").format(function.__name__)
        for function, served in reasons.items()
        for name in served
        if name in methods_called(name.rpartition(".")[2])
    ]
    for place in places:
        given = ", ".join(
            f"{name.rpartition('.')[2]}={SUBSTITUTES[name].function.__name__}"
            for name in wanted
            if name.rpartition(".")[0] == place and name in SUBSTITUTES
        )
        methods.append(f"{place.replace('.', '_')} = SimpleNamespace(**{{**vars(flow{place[5:]}), **dict({given})}})")
        assembly.imports.add("from types import SimpleNamespace")
    methods[:0] = [f"{OURS[name].__name__}()" for name in CHANGES_ONEFLOW if name in wanted]
    if any(map(is_of_complex, wanted)):
        assembly.add(complex_functions.__file__, "as_complex")  # which takes all along that complex tensors need
        methods.append(f"{TAKE_COMPLEX}(FUNCTIONS, globals())")
    if methods:
        assembly.imports.add(_LAZY["flow"])
    return assembly.text(methods, sorted(names))


def whole_source() -> str:
    """All substitutes there are, for a program whose modules are ported one by one as they are imported.

    Nothing is put into OneFlow by it: `METHODS` says what each name of a method is, `MODULES` holds the names of
    PyTorch's modules, and `SETUPS` what else may be wanted, so that this is put there when a module needs it.
    """
    everything = {SUBSTITUTES[name].function: name for name in sorted(SUBSTITUTES)}
    assembly = _Assembly({(_file_of(each), each.__name__): each.__name__ for each in [*everything, *OURS.values()]})
    for function in [*everything, *OURS.values()]:
        assembly.add(_file_of(function), function.__name__)
    methods: list[str] = []
    modules: dict[str, list[str]] = {}
    for name, substitute in sorted(SUBSTITUTES.items()):
        owner, _, attribute = name.rpartition(".")
        function = substitute.function.__name__
        if name in methods_called(attribute):
            value = f"property({function})" if substitute.attribute else function
            methods.append(f"    {name!r}: ({_place_of(owner)}, {attribute!r}, {value}),")
        elif owner in MODULES:
            modules.setdefault(owner, []).append(f"{attribute!r}: {function}")
    places = [f"    {owner!r}: {{{', '.join(rows)}}}," for owner, rows in modules.items()]
    assembly.imports.add(_LAZY["flow"])
    setups = [f"    {name!r}: {function.__name__}," for name, function in OURS.items() if name in CHANGES_ONEFLOW]
    tables = ["METHODS = {", *methods, "}", "MODULES = {", *places, "}", "SETUPS = {", *setups, "}"]
    return assembly.unformatted(tables, [])


Key = tuple[str, str]
"""A definition of ours: its file and its name there."""


@dataclass(slots=True)
class _Assembly:
    """Definitions in the order in which they are needed, and the imports for them.

    Attributes:
        names: what each definition is called in the module. What others call first is called as it is here; a helper of
            the same name as another gets a line before it.
    """

    names: dict[Key, str]
    imports: set[str] = field(default_factory=set)
    definitions: dict[Key, str] = field(default_factory=dict)
    _under_way: set[Key] = field(default_factory=set)
    _waiting: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    """Classes whose base, by its name in the module, is not written yet: a method of the base makes one of them."""

    def add(self, file: str, name: str, reason: str = "") -> str:
        """Takes a definition of a file of ours over, after those that it uses; returns its name in the module."""
        key = (file, name)
        if key not in self.names:
            taken = set(self.names.values())
            while name in taken:
                name = f"_{name}"
            self.names[key] = name
        if key in self._under_way or key in self.definitions:
            return self.names[key]
        self._under_way.add(key)
        nodes, lines = _top_level(file)
        node = nodes[key[1]]
        for base in _bases(node, nodes):
            name = self._take(file, base, nodes[base])
            if any(name == other and each not in self.definitions for each, other in self.names.items()):
                self._waiting.setdefault(name, []).append((*key, reason))
                self._under_way.discard(key)
                return self.names[key]
        others = {used: self._take(file, used, nodes[used]) for used in sorted(_names_in(node, nodes)) if used in nodes}
        others[key[1]] = self.names[key]
        text = _renamed(_written(node, lines, nodes), {old: new for old, new in others.items() if old != new})
        self.definitions[key] = _commented(text, reason)
        for waiting in self._waiting.pop(self.names[key], ()):
            self.add(*waiting)
        return self.names[key]

    def _take(self, file: str, name: str, node: ast.stmt) -> str:
        """Takes over what a definition uses; returns its name in the module."""
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch2flow."):
            if name in _LAZY:
                self.imports.add(_LAZY[name])
                return name
            alias = next(each for each in node.names if (each.asname or each.name) == name)
            home = str(importlib.import_module(node.module or "").__file__)
            return self._take(home, alias.name, _top_level(home)[0][alias.name])
        if isinstance(node, ast.Import | ast.ImportFrom):
            alias = next(each for each in node.names if (each.asname or each.name.partition(".")[0]) == name)
            origin = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            self.imports.add(f"{origin}import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
            return name
        return self.add(file, name)

    def text(self, last: list[str], names: list[str]) -> SourceText:
        """The whole file; each part is formatted once, however many folders need it."""
        return joined([_formatted(part) for part in self._parts(last, names)], "\n\n")

    def unformatted(self, last: list[str], names: list[str]) -> str:
        """The whole file, as its parts were written."""
        return "\n\n\n".join(self._parts(last, names))

    def _parts(self, last: list[str], names: list[str]) -> list[str]:
        standard = sorted(each for each in self.imports if "oneflow" not in each)
        others = sorted(each for each in self.imports if "oneflow" in each)
        head = [_SERVES + ", ".join(names), "", "from __future__ import annotations", "", *standard, "", *others]
        ending = ["# What OneFlow's tensors and modules lack, or have otherwise.\n" + "\n".join(last)] if last else []
        return [HEAD + "\n".join(head) + "\n", *self.definitions.values(), *(f"{each}\n" for each in ending)]


@cache
def _formatted(part: str) -> SourceText:
    return formatted(copied(part))


def _place_of(name: str) -> str:
    """What a class of PyTorch's, or a method of one, is called in OneFlow."""
    return name.replace("torch.Generator", "flow._oneflow_internal.Generator").replace("torch.", "flow.", 1)


def _file_of(thing: Any) -> str:
    """The file in which a function or class is defined, also one that was run and not imported."""
    module = sys.modules.get(thing.__module__)
    if module is not None and module.__file__:
        return module.__file__
    parts = [inspect.unwrap(thing), *vars(thing).values()]
    return str(next(each.__code__.co_filename for each in parts if hasattr(each, "__code__")))


@cache
def _top_level(file: str) -> tuple[dict[str, ast.stmt], list[str]]:
    """The statements of a file of ours by the names they bind, and its lines."""
    text = Path(file).read_text(encoding="utf-8")
    found: dict[str, ast.stmt] = {}
    statements = [
        inner for node in ast.parse(text).body for inner in (node.body if isinstance(node, ast.With) else [node])
    ]
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0]: node for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                found |= {each.id: node for each in ast.walk(target) if isinstance(each, ast.Name)}
    found.pop("annotations", None)
    return found, text.splitlines()


def _is_ours(decorator: ast.expr, nodes: dict[str, ast.stmt]) -> bool:
    """Whether a decorator only registers a function with us."""
    name = next((part.id for part in ast.walk(decorator) if isinstance(part, ast.Name)), "")
    home = nodes.get(name)
    return isinstance(home, ast.ImportFrom) and (home.module or "").startswith("torch2flow.")


def _names_in(node: ast.stmt, nodes: dict[str, ast.stmt]) -> set[str]:
    """The names that a definition uses, without our decorators."""
    ours = [each for each in getattr(node, "decorator_list", ()) if _is_ours(each, nodes)]
    parts = (part for child in ast.iter_child_nodes(node) if child not in ours for part in ast.walk(child))
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _bases(node: ast.stmt, nodes: dict[str, ast.stmt]) -> list[str]:
    """The names of a class's bases that are definitions of ours."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    names = [each.id for each in bases if isinstance(each, ast.Name) and each.id in nodes]
    return [name for name in names if isinstance(nodes[name], ast.ClassDef) or _is_from_us(nodes[name])]


def _is_from_us(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch2flow.port")


def _written(node: ast.stmt, lines: list[str], nodes: dict[str, ast.stmt]) -> str:
    """The text of a definition without our decorators."""
    kept = [each for each in getattr(node, "decorator_list", ()) if not _is_ours(each, nodes)]
    decorators = [f"@{ast.unparse(each)}" for each in kept]
    return textwrap.dedent("\n".join([*decorators, *lines[node.lineno - 1 : node.end_lineno]]))


def _renamed(text: str, names: dict[str, str]) -> str:
    """A definition in which names of others are called otherwise."""
    if not names:
        return text
    source = parse_source(text)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id in names:
            source.replace(*source.span(node), names[node.id])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            start = source.text.index(node.name, source.span(node)[0])
            source.replace(start, start + len(node.name), names[node.name])
    return source.edited()


def _commented(text: str, reason: str) -> str:
    comment = textwrap.wrap(reason, 96)
    return "\n".join([*(f"# {line}" for line in comment), text])
