"""Compiles ported source so that tracebacks and debuggers speak of the author's own file, line and column."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from itertools import accumulate
from types import CodeType

from torch2flow.port.source import PythonText, parse_source


def compile_ported(source: PythonText, file: str) -> CodeType:
    """The code of an edited text: each instruction has the place in the original from which it comes.

    Raises:
        FormatError: what became of the text is no Python any more.
    """
    return compile(ported_tree(source), file, "exec", dont_inherit=True)


def ported_tree(source: PythonText) -> ast.Module:
    """The syntax tree of an edited text, with the places in the original."""
    if not source.is_edited:
        return source.tree
    edited = parse_source(source.edited(), source.encoding, names_only=True)
    _Places(source, edited).give_back(edited.tree)
    return edited.tree


class _Places:
    """Where what stands in an edited text stood in the original.

    Args:
        source: the original with its edits.
        edited: the text with these edits made.
    """

    def __init__(self, source: PythonText, edited: PythonText) -> None:
        self.source, self.edited = source, edited
        changes = source.changes()
        grown = [0, *accumulate(len(text) - (end - start) for start, end, text in changes)]
        self._changes = [
            (start + before, end + after, start, end)
            for (start, end, _), before, after in zip(changes, grown[:-1], grown[1:], strict=True)
        ]
        self._begins = [each[0] for each in self._changes]
        self._ends = [each[1] for each in self._changes]
        self._lines = [0] * (len(edited.starts) + 2)
        self._find_lines()

    def _find_lines(self) -> None:
        """The numbers of lines that are the same in both; 0 for a line with a change in it."""
        ends = [*self.edited.starts[1:], len(self.edited.text)]
        for number, (start, end) in enumerate(zip(self.edited.starts, ends, strict=True), 1):
            touched = bisect_right(self._ends, start) != bisect_right(self._begins, end - 1)
            begin = self._original(start, last=False)
            line = self.source.line_of(begin)
            if not touched and self.source.starts[line - 1] == begin:
                self._lines[number] = line

    def _original(self, place: int, last: bool) -> int:
        """A place in the original; `last`: the place is where something ends."""
        index = (bisect_left if last else bisect_right)(self._begins, place) - 1
        if index < 0:
            return place
        _, end, start, stop = self._changes[index]
        if place < end:
            return stop if last else start
        return stop + place - end

    def _place(self, line: int, column: int, last: bool) -> tuple[int, int]:
        same = self._lines[line] if line < len(self._lines) else 0
        if same:
            return same, column
        found = self._original(self.edited.offset(line, column), last)
        line = self.source.line_of(found)
        before = self.source.text[self.source.starts[line - 1] : found]
        return line, len(before) if before.isascii() else len(before.encode("utf-8", "surrogatepass"))

    def give_back(self, tree: ast.Module) -> None:
        """Gives each node of the edited text the place of what it was."""
        for node in ast.walk(tree):
            if isinstance(
                node, ast.expr | ast.stmt | ast.ExceptHandler | ast.arg | ast.keyword | ast.alias | ast.pattern
            ):
                start = self._place(node.lineno, node.col_offset, last=False)
                end = self._place(node.end_lineno or node.lineno, node.end_col_offset or 0, last=True)
                node.lineno, node.col_offset = start
                node.end_lineno, node.end_col_offset = max(start, end)
