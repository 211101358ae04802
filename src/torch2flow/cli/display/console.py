"""The two consoles, and text out of files in a form that no terminal obeys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich import console
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from torch2flow.cli.language import translated


class Console(console.Console):
    """Prints what it is given in the language of the user: lines by their templates, and the heads of tables."""

    def print(self, *objects: Any, **options: Any) -> None:
        for each in objects:
            if isinstance(each, Table):
                for column in each.columns:
                    column.header = translated(str(column.header))
        super().print(*(translated(each) if isinstance(each, str) else each for each in objects), **options)


out = Console(highlight=False, soft_wrap=True)

err = Console(stderr=True, highlight=False, soft_wrap=True)


def aligned(rows: Callable[[], Iterable[tuple[str, ...]]], right: tuple[int, ...]) -> Iterator[str]:
    """Formats rows as lines with aligned columns. The columns in `right` are aligned to the right.

    Args:
        rows: gives them, once for the widths and once for the lines: a million of them need not be held.
        right: numbers of columns.
    """
    widths: list[int] = []
    for row in rows():
        sizes = map(_width, row)
        widths = list(map(max, widths, sizes)) if widths else list(sizes)
    plain = "  ".join(f"{{:{'>' if at in right else '<'}{width}}}" for at, width in enumerate(widths))
    for row in rows():
        if all(map(str.isascii, row)):
            yield plain.format(*row).rstrip()
            continue
        blanks = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = enumerate(zip(row, blanks, strict=True))
        yield "  ".join(blank + cell if at in right else cell + blank for at, (cell, blank) in cells).rstrip()


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def printable(name: str, longest: int = 120) -> str:
    """Text out of a file without control characters and lone surrogates, and never longer than a line."""
    text = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= longest else f"{text[: longest - 20]}... ({len(text)} characters)"


def shown(text: str, longest: int = 120) -> str:
    """Text out of a file for rich, in which neither the terminal nor rich's markup finds a command."""
    return escape(printable(text, longest))
