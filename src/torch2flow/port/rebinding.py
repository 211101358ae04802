"""From where on a name that an import binds is the author's: `optim = optim.Adam(...)` gives it to an object.

A name is bound anew where the code that is read has imported it before. The other way of `try` and `if`, for where the
import fails, is none: there the name means what the import gives.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Point = tuple[int, int]
"""A line and a column, as `ast` counts them."""

FOR_EVER: Point = (2**31, 0)
_BRANCHES = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file in which a name is the author's."""

    start: Point
    end: Point

    def holds(self, point: Point) -> bool:
        return self.start <= point < self.end


def spans_bound_anew(body: Iterable[ast.stmt], name: str, imported: bool = False) -> list[Span]:
    """Where a name that these statements import is the author's.

    Args:
        body: the statements of a module, a class or a function.
        name: the name.
        imported: whether it is imported before the first of them.
    """
    return list(_spans(list(body), name, imported, FOR_EVER))


def _spans(body: list[ast.stmt], name: str, imported: bool, end: Point) -> Iterator[Span]:
    bound: Point | None = None
    for statement in body:
        if bound and _imports(statement, name):
            yield Span(bound, _begin(statement))
            bound = None
        targets = [each for each in _targets(statement) if each == name or getattr(each, "id", "") == name]
        if imported and targets:
            yield from (Span(_begin(each), _end(each)) for each in targets if isinstance(each, ast.Name))
            inner = getattr(statement, "body", None)  # a class, a function or a loop has the name in it already
            bound = bound or (_begin(inner[0]) if inner else _end(statement))
        elif not bound and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for branch in _branches(statement):
                yield from _spans(branch, name, imported, _end(branch[-1]))
        imported = imported or _imports(statement, name)
    if bound:
        yield Span(bound, end)


def _branches(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for holder in (statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield from (branch for field in _BRANCHES if (branch := getattr(holder, field, None)))


def _targets(statement: ast.stmt) -> Iterator[ast.expr | str]:
    """What a statement binds: the nodes of names, and the name of a definition."""
    given: list[ast.expr] = []
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        stands_for_nothing = isinstance(statement.value, ast.Constant) and statement.value.value in (None, False)
        given = [] if stands_for_nothing else statement.targets
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor):
        given = [statement.target]
    elif isinstance(statement, ast.With | ast.AsyncWith):
        given = [item.optional_vars for item in statement.items if item.optional_vars is not None]
    for target in given:
        yield from (node for node in ast.walk(target) if isinstance(node, ast.Name) and _is_store(node))


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _imports(statement: ast.stmt, name: str) -> bool:
    """Whether a statement, or one inside it, imports a name."""
    return any(
        (alias.asname or alias.name.partition(".")[0]) == name
        for node in ast.walk(statement)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    )


def _begin(node: ast.AST) -> Point:
    return (node.lineno, node.col_offset)  # type: ignore[attr-defined]


def _end(node: ast.AST) -> Point:
    return (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
