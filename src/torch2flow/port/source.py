"""A file of Python source as text and tree, and the edits that change it: all else in it stays as its author wrote it.

The tree is Python's own `ast`, which says where each node stands. It reads 80,000 lines a second where a parser that
keeps formatting in its tree reads 3,000; formatting is kept all the same, since an edit replaces a span of the text.
"""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch2flow.errors import FormatError
from torch2flow.port.format_strings import place_format_strings

LONGEST = 5 << 18
"""How many bytes of source are read: a tree takes up to 750 bytes for each of them, and so less than 1 GiB."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


@dataclass(slots=True)
class PythonText:
    """The text of one file of Python source.

    Attributes:
        text: the characters, with the line ends that the file has.
        encoding: by which it is written again.
        tree: its syntax tree.
        starts: where each line begins in `text`.
    """

    text: str
    encoding: str = "utf-8"
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    starts: list[int] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _edits: list[tuple[int, int, str]] = field(default_factory=list)
    _begins: dict[int, int] | None = None

    @property
    def newline(self) -> str:
        """The end of its first line."""
        ends = re.search(r"\r\n|\r|\n", self.text)
        return ends[0] if ends else "\n"

    def offset(self, line: int, column: int) -> int:
        """The place in `text` of a line, counted from 1, and a column of its UTF-8, as `ast` counts them."""
        if line > len(self._lines):
            return len(self.text)
        text = self._lines[line - 1]
        if not text.isascii():
            column = len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))
        return self.starts[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node stands in `text`."""
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def of(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, place: int) -> int:
        """The number of the line, from 1, in which a place of `text` lies."""
        return bisect_right(self.starts, place)

    def logical_line(self, line: int) -> int:
        """The line in which the statements begin that end where this one begins: it may lie in a text of theirs."""
        if self._begins is None:
            self._begins = _logical_lines(self.tree)
        return self._begins.get(line, line)

    def indentation(self, line: int) -> str:
        """The blanks at the beginning of a line."""
        text = self._lines[line - 1]
        return text[: len(text) - len(text.lstrip(" \t\f"))]

    def replace(self, start: int, end: int, text: str) -> None:
        """Puts a text in the place of a span when `edited` is asked for."""
        if self.text[start:end] != text and (start, end, text) not in self._edits[-8:]:
            self._edits.append((start, end, text))

    def insert_first(self, place: int, text: str) -> None:
        """Inserts a text before whatever else is inserted at a place."""
        self._edits.insert(0, (place, place, text))

    @property
    def is_edited(self) -> bool:
        """Whether something is to change."""
        return bool(self._edits)

    def changes(self) -> list[tuple[int, int, str]]:
        """The spans that change, in order. An edit inside a span that goes away goes with it."""
        kept, reached = [], 0
        for start, end, text in sorted(self._edits, key=lambda edit: (edit[0], edit[0] != edit[1], -edit[1])):
            if start >= reached:
                kept.append((start, end, text))
                reached = end
        return kept

    def edited(self) -> str:
        """The text with all edits."""
        pieces, reached = [], 0
        for start, end, text in self.changes():
            pieces += [self.text[reached:start], text]
            reached = end
        return "".join([*pieces, self.text[reached:]])

    def encoded(self) -> bytes:
        """The edited text as the bytes of a file."""
        return self.edited().encode(self.encoding, "surrogateescape")


def _logical_lines(tree: ast.Module) -> dict[int, int]:
    """For the first lines of statements that stand behind another one's last line, where that one begins."""
    found: dict[int, int] = {}
    for node in ast.walk(tree):
        for body in (getattr(node, part, None) for part in ("body", "orelse", "finalbody")):
            if isinstance(body, list):
                for before, after in itertools.pairwise(body):
                    if before.end_lineno == after.lineno:
                        found[after.lineno] = found.get(before.lineno, before.lineno)
    return found


def read_source(data: bytes, names_only: bool = False) -> PythonText:
    """Reads the bytes of a file of Python source, in whatever encoding its first lines declare (PEP 263).

    Args:
        data: the bytes.
        names_only: nothing is to be changed: what stands inside f-strings need not be placed.

    Raises:
        FormatError: it is no Python source, none that this Python can read, or too long.
    """
    if len(data) > LONGEST:
        raise FormatError(
            f"It has {len(data):,} bytes of source, and at most {LONGEST:,} are read.",
            maybe="a table of numbers or of words is better kept in a file of data",
        )
    if b"\0" in data:
        raise FormatError("It has zero bytes, so it is no text.")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise FormatError(f"It can't be decoded: {str(error)[:200]}.") from None
    return parse_source(text, encoding, names_only)


def parse_source(text: str, encoding: str = "utf-8", names_only: bool = False) -> PythonText:
    """Reads a text of Python source.

    Raises:
        FormatError: it is none that this Python can read.
    """
    lines = _LINE.findall(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an author's invalid escape is not ours to tell
            tree = ast.parse(text)
    except SyntaxError as error:
        maybe = ""
        if re.search(r"^[ \t]*(print |exec |except \w+, \w+:|raise \w+, )", text, re.MULTILINE):
            maybe = "the file is written for Python 2; `2to3` or `python-modernize` turn it into Python 3 first"
        raise FormatError(f"Line {error.lineno}: {error.msg}.", maybe=maybe) from None
    except (ValueError, MemoryError, RecursionError):
        raise FormatError("It nests deeper than Python can read.") from None
    starts, place = [], 0
    for line in lines:
        starts.append(place)
        place += len(line)
    source = PythonText(text, encoding, tree, starts, lines)
    if not names_only:
        with followed():
            place_format_strings(tree, source.span, text)
    return source


@contextlib.contextmanager
def followed() -> Iterator[None]:
    """A context in which a tree is walked by functions that call themselves.

    Raises:
        FormatError: the tree is too deep for it, though Python itself can read it.
    """
    try:
        yield
    except RecursionError:
        raise FormatError("It nests deeper than can be followed.") from None
