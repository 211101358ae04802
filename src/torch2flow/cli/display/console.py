"""The two consoles, and text out of files in a form that no terminal obeys."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

out = Console(highlight=False, soft_wrap=True)

err = Console(stderr=True, highlight=False, soft_wrap=True)


def aligned(rows: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> list[str]:
    """Formats rows as lines with aligned columns. The columns in `right` are aligned to the right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        blanks = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [
            blank + cell if at in right else cell + blank
            for at, (cell, blank) in enumerate(zip(row, blanks, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def printable(name: str, longest: int = 120) -> str:
    """Text out of a file without control characters and lone surrogates, and never longer than a line."""
    text = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= longest else f"{text[: longest - 20]}... ({len(text)} characters)"


def shown(text: str, longest: int = 120) -> str:
    """Text out of a file for rich, in which neither the terminal nor rich's markup finds a command."""
    return escape(printable(text, longest))
