"""One file while it is rewritten: its text, what names mean at the place that is read now, and what was found."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from torch2flow.port import forms
from torch2flow.port.findings import PortFinding, Tally
from torch2flow.port.lookup import is_foreign
from torch2flow.port.project import Meaning, Project, SourceModule
from torch2flow.port.rebinding import Span, spans_bound_anew
from torch2flow.port.scopes import Scope, scopes_of
from torch2flow.port.source import PythonText

ASK = "write it otherwise, or add a function of your own with --rules"
COMPAT = "flow_compat"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the compatibility module is for one file: `flow_compat`, `..flow_compat`, `a.flow_compat`."""

    module: str = COMPAT

    @property
    def statement(self) -> str:
        """Imports the module itself."""
        holder = self.module.removesuffix(COMPAT)
        return (
            f"from {holder if not holder.strip('.') else holder[:-1]} import {COMPAT}" if holder else f"import {COMPAT}"
        )


class FileUnderWay:
    """One file while it is rewritten.

    Args:
        source: the file.
        module: what it is in its tree.
        project: the tree.
        name: its path, for findings.
        place: where the compatibility module is.

    Attributes:
        tally: what was found.
        scopes: the scopes of the file, by the node that opens them.
        scope: the one that is read now.
        statement: the statement that is read now.
        later: Python evaluates what is read now when it reads a definition.
        guarded: the author has an answer for what can't be imported here.
        quote: the quote of the f-string that is read now.
        imported_before: names that are imported before the file begins, in the cells of a notebook before this one.
    """

    def __init__(
        self, source: PythonText, module: SourceModule, project: Project, name: str = "", place: Place | None = None
    ) -> None:
        self.source, self.module, self.project, self.name = source, module, project, name
        self.place = place or Place()
        self.tally = Tally(lines=len(source.starts))
        self.scopes = scopes_of(source.tree, module.resolve_from)
        self.scope = self.scopes[source.tree]
        self.statement: ast.stmt | None = None
        self.later = self.guarded = False
        self.needs_compat = self.needs_flow = self.needs_flowvision = False
        self.quote = ""
        self.imported_before: set[str] = set()
        self._marked: set[tuple[int, str]] = set()
        self._bound_anew: dict[tuple[Scope, str], list[Span]] = {}
        self._meanings: dict[tuple[Scope, str], Meaning] = {}

    def meaning(self, name: str, node: ast.AST | None = None) -> Meaning:
        """What a name means in the scope that is read now; with the node of a use, at that place."""
        key = (self.scope.home(name), name)
        if node is not None and any(span.holds((node.lineno, node.col_offset)) for span in self._own_spans(*key)):  # type: ignore[attr-defined]
            return Meaning()
        if key not in self._meanings:
            self._meanings[key] = self._meaning_in(*key)
        return self._meanings[key]

    def _meaning_in(self, home: Scope, name: str) -> Meaning:
        meanings = [self.project.meaning(each, self.module) for each in home.imports.get(name, ())]
        found = next((each for each in meanings if is_foreign(each.path)), None) or next(filter(None, meanings), None)
        if found is not None:
            return found
        if home.parent is None and name not in home.others and name not in home.imports:
            return self.project.starred(home.stars, name, self.module)
        return Meaning()

    def _own_spans(self, home: Scope, name: str) -> list[Span]:
        """Where a name that an import binds is bound anew by the author."""
        if name not in home.others or name not in home.imports:
            return []
        key = (home, name)
        if key not in self._bound_anew:
            opener = next(node for node, scope in self.scopes.items() if scope is home)
            body = getattr(opener, "body", [])
            before = name in self.imported_before and home.parent is None
            self._bound_anew[key] = spans_bound_anew(body, name, before) if isinstance(body, list) else []
        return self._bound_anew[key]

    def imported_path(self, node: ast.AST) -> str:
        """The dotted path of what is imported from whichever package; "" for anything else."""
        rest: list[str] = []
        while isinstance(node, ast.Attribute):
            rest.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([*(each.path for each in self.scope.home(node.id).imports.get(node.id, ())[:1]), *rest])

    def uses_compat(self, name: str) -> None:
        """Takes note of a name for which the compatibility module stands."""
        self.tally.uses["compat"] += 1
        self.tally.compat.add(name)

    def value_of(self, name: str) -> str:
        """The expression that stands for a constant."""
        value = forms.VALUES[name].replace("flow.", f"{self.module.alias}.")
        return value.replace('"', "'") if self.quote == '"' else value

    def missing_call(self, name: str, later: bool) -> str:
        """An expression that raises when it is called, or where a definition calls it only when that is used."""
        self.tally.compat.add("missing")
        mark = "'" if self.quote == '"' else '"'
        return f"{COMPAT}.missing({mark}{name}{mark}{', later=True' if later else ''})"

    def tell(self, node: ast.AST, kind: str, api: str, reason: str, remedy: str = "") -> None:
        """Adds a finding."""
        line = getattr(node, "lineno", 0) or getattr(self.statement, "lineno", 0)
        finding = PortFinding(self.name, line, kind, api, reason, remedy)
        if finding not in self.tally.findings[-4:]:
            self.tally.findings.append(finding)

    def look(self, node: ast.AST, api: str, reason: str, remedy: str) -> None:
        """Tells of what may differ."""
        self.tell(node, "look", api, reason, remedy)

    def cannot(self, node: ast.AST, api: str, note: str = "") -> None:
        """Tells of what OneFlow can't do, there and in the ported code."""
        self.tally.uses["cannot"] += 1
        self.tell(node, "cannot", api, note or f"OneFlow 0.9.0 has no {api}.", ASK)
        self.comment(f"OneFlow 0.9.0 can't: {api}")

    def comment(self, text: str) -> None:
        """Writes a comment above the statement that is read now."""
        line = self.source.logical_line(getattr(self.statement, "lineno", 1))
        if (line, text) not in self._marked:
            self._marked.add((line, text))
            start = self.source.starts[line - 1]
            shown = text if len(text) < 100 else text[:97] + "..."
            shown = "".join(letter if letter.isprintable() else " " for letter in shown)
            margin = self.source.indentation(line)
            self.source.replace(start, start, f"{margin}# torch2flow: {shown}{self.source.newline}")
