"""Where the expressions inside f-strings stand, for Pythons before 3.12, whose `ast` does not say it right."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Generator, Iterator

_OPENING = re.compile(r"""([A-Za-z]*)('''|\"\"\"|'|\")""")


def place_format_strings(tree: ast.Module, span: Callable[[ast.AST], tuple[int, int]], text: str) -> None:
    """Gives the nodes inside f-strings their right places; Python 3.12 and later do so themselves.

    What can't be placed gets no place (line 0), so that it is not changed.
    """
    if sys.version_info >= (3, 12) or not re.search(r"""\b[rR]?[fF][rR]?['"]""", text):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and hasattr(node, "end_lineno"):
            start, end = span(node)
            _place(node, text[start:end], text, start)


def _place(node: ast.JoinedStr, literal: str, text: str, start: int) -> None:
    values = list(_formatted(node))
    places = list(_expressions(literal))
    trees = [_parsed(literal[begin:end]) for begin, end in places]
    if len(values) != len(places) or any(each is None for each in trees):
        for value in values:
            for inner in ast.walk(value):
                _move(inner, (0, 0), (0, 0))
        return
    for value, (begin, _), tree in zip(values, places, trees, strict=True):
        assert tree is not None
        line = text.count("\n", 0, start + begin) + 1
        column = len(text[text.rfind("\n", 0, start + begin) + 1 : start + begin].encode("utf-8", "surrogatepass"))
        for old, new in zip(ast.walk(value.value), ast.walk(tree), strict=True):
            if isinstance(new, ast.expr | ast.arg | ast.keyword):
                start_of = _shifted(new.lineno, new.col_offset, line, column)
                _move(old, start_of, _shifted(new.end_lineno or 0, new.end_col_offset or 0, line, column))


def _shifted(line: int, column: int, first: int, margin: int) -> tuple[int, int]:
    """A place in an expression that was read inside one more parenthesis, as a place in the file."""
    return (first, margin + column - 1) if line == 1 else (first + line - 1, column)


def _move(node: ast.AST, start: tuple[int, int], end: tuple[int, int]) -> None:
    if isinstance(node, ast.expr | ast.arg | ast.keyword):
        node.lineno, node.col_offset = start
        node.end_lineno, node.end_col_offset = end


def _formatted(node: ast.JoinedStr) -> Iterator[ast.FormattedValue]:
    """The expressions of an f-string in the order of the text, those in a format after the one it is for."""
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            yield value
            if isinstance(value.format_spec, ast.JoinedStr):
                yield from _formatted(value.format_spec)


def _parsed(expression: str) -> ast.expr | None:
    try:
        return ast.parse(f"({expression})", mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _expressions(text: str) -> Iterator[tuple[int, int]]:
    """Where the expressions stand in one or more literals that follow each other."""
    place = 0
    while match := _OPENING.search(text, place):
        prefix, quote = match[1].lower(), match[2]
        place = match.end()
        while not text.startswith(quote, place) and place < len(text):
            if text[place] == "\\" and "r" not in prefix:
                place += 2
            elif text[place] == "\\":
                place += 1 + (text[place + 1 : place + 2] in (quote[0], "\\"))
            elif "f" in prefix and text[place] == "{" and text[place + 1 : place + 2] != "{":
                place = yield from _field(text, place + 1)
            else:
                place += 1 + ("f" in prefix and text[place : place + 2] in ("{{", "}}"))
        place += len(quote)


def _field(text: str, place: int) -> Generator[tuple[int, int], None, int]:
    """One `{...}`: its expression, and those in its format. Returns the place after it."""
    begin, depth = place, 0
    while place < len(text):
        letter = text[place]
        if letter in "'\"":
            quote = text[place : place + 3] if text[place : place + 3] in ("'''", '"""') else letter
            close = text.find(quote, place + len(quote))
            place = (close if close >= 0 else len(text)) + len(quote)
            continue
        if depth == 0 and (letter == "}" or letter == ":" or (letter == "!" and text[place + 1] != "=")):
            break
        if depth == 0 and letter == "=" and text[place - 1] not in "=!<>" and re.match(r"=\s*[}:!]", text[place:]):
            break
        depth += (letter in "([{") - (letter in ")]}")
        place += 1
    yield begin, place
    while place < len(text) and text[place] not in ":}":
        place += 1
    if text[place : place + 1] == ":":
        while place < len(text) and text[place] != "}":
            if text[place] == "{":
                place = yield from _field(text, place + 1)
            else:
                place += 1
    return place + 1
