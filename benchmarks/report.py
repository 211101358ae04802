"""What a benchmark found, as a table for a terminal, as Markdown for docs/performance.md, and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import Figures

DOCS = Path(__file__).parents[1] / "docs" / "performance.md"
BLOCK = "<!-- measured: {0} -->\n{1}<!-- end of {0} -->"
"""A benchmark's part of the page, by its name."""

MIB = 1 << 20


@dataclass(frozen=True)
class Target:
    """A figure with a bound.

    Attributes:
        what: what is measured.
        value: what came out.
        bound: the target, or None for a figure that is only told.
        unit: `x`, `s` or `MiB`.
        at_least: the bound is a lower one.
    """

    what: str
    value: float
    bound: float | None = None
    unit: str = "x"
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.bound is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def cells(self) -> tuple[str, str, str]:
        """Value, target, and whether it was met."""
        sign = "at least" if self.at_least else "at most"
        target = "" if self.bound is None else f"{sign} {self.bound:g} {self.unit}"
        value = f"{self.value:.2f}" if self.unit != "MiB" else f"{self.value:.0f}"
        return f"{value} {self.unit}", target, {None: "", True: "met", False: "MISSED"}[self.met]


@dataclass(frozen=True)
class Comparison:
    """One case: its contenders and its targets."""

    title: str
    figures: Sequence[Figures]
    targets: Sequence[Target] = field(default_factory=list)

    def rows(self) -> list[list[str]]:
        """A row for each contender."""
        return [
            [
                figures.label,
                f"{figures.wall:.2f}",
                "{:.2f} to {:.2f}".format(*figures.spread),
                f"{figures.cpu:.2f}",
                f"{figures.rss / MIB:.0f}",
                str(len(figures.runs)),
            ]
            for figures in self.figures
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it, each run by itself."""
        return {
            "title": self.title,
            "contenders": [
                {"label": figures.label, "runs": [vars(run) for run in figures.runs]} for figures in self.figures
            ],
            "targets": [{**vars(target), "met": target.met} for target in self.targets],
        }


HEAD = ["", "wall s", "range", "CPU s", "peak MiB", "runs"]

LEGEND = """\
wall: median of the runs, each a whole process with its start-up; range: the shortest and the longest;
CPU: median of user and system time of all its processes; peak: the largest resident memory of its largest
process in any run. Sources lie in the page cache; what a run wrote is flushed before the next."""


def as_text(comparison: Comparison) -> str:
    """A table for the terminal."""
    rows = [HEAD, *comparison.rows()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [comparison.title]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    for target in comparison.targets:
        value, bound, met = target.cells
        lines.append(f"  {target.what:<52} {value:>10}   {bound:<16} {met}".rstrip())
    return "\n".join(lines)


def as_markdown(comparisons: Sequence[Comparison], circumstances: str) -> str:
    """A benchmark's part of docs/performance.md."""
    lines = [circumstances]
    for comparison in comparisons:
        lines += ["", f"### {comparison.title}", "", _row(HEAD), _row(["---", *["---:"] * (len(HEAD) - 1)])]
        lines += [_row(row) for row in comparison.rows()]
        if comparison.targets:
            lines += ["", _row(["", "measured", "target", ""]), _row(["---", "---:", "---", "---"])]
            lines += [_row([target.what, *target.cells]) for target in comparison.targets]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_docs(name: str, text: str) -> None:
    """Replaces the part of the page that a benchmark has.

    Raises:
        ValueError: it has none.
    """
    page = DOCS.read_text("utf-8")
    part = re.compile(BLOCK.format(re.escape(name), ".*?"), re.S)
    page, count = part.subn(lambda _: BLOCK.format(name, text), page)
    if count != 1:
        raise ValueError(f"{DOCS.name} has {count} parts for {name}")
    DOCS.write_text(page, "utf-8")
