"""What the page shows where: the tree of modules, tables with the worst first, numbers in few characters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch2flow.proof.parity.judge import FINE, VERDICTS, worst

if TYPE_CHECKING:
    from markupsafe import Markup

MARKS = {"identical": "=", "within noise": "✓", "loses digits": "▲", "elevated": "▲", "different": "✗", "not run": "✗"}
"""Colour is never the only sign of a verdict."""

FIRST = 15
"""How many rows of a table are shown unfolded."""

LOW, HIGH = -2.0, 6.0
"""The powers of ten of the noise between which a bar grows."""


@dataclass(slots=True)
class ModuleNode:
    """A module in the tree.

    Attributes:
        name: the last part of its path.
        path: the whole.
        rows: its calls.
        children: the modules in it, by name.
    """

    name: str
    path: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    children: dict[str, ModuleNode] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its class; "" for a list of modules, which has no calls."""
        return str(self.rows[0]["class"]) if self.rows else ""

    @property
    def own(self) -> dict[str, Any] | None:
        """The worst output of its calls, each fed PyTorch's own input."""
        return _worst(row["own"] for row in self.rows)

    @property
    def end_to_end(self) -> dict[str, Any] | None:
        """The worst output of its calls in a run from end to end."""
        return _worst(row["end_to_end"] for row in self.rows)

    @property
    def inputs(self) -> dict[str, Any] | None:
        """The worst input that the code before it computed."""
        return _worst(row["inputs"] for row in self.rows)

    @property
    def failure(self) -> str:
        """Why it could not be run; "" if it could."""
        return next((row["failure"] for row in self.rows if row["failure"]), "")

    @property
    def verdict(self) -> str:
        """Its own verdict: the worst of its inputs and outputs."""
        if self.failure:
            return "not run"
        return worst(each["verdict"] for each in (self.own, self.inputs) if each)

    @property
    def open(self) -> bool:
        """Whether something inside is not as it should be."""
        return any(each.verdict not in FINE or each.open for each in self.children.values())

    @property
    def inside(self) -> str:
        """A summary of its modules for a folded row: `12 inside, worst 1.84`."""
        below = self.all_below
        own = _worst(each.own for each in below)
        worst_one = f", worst {short(own['ratio'])}\u00d7" if own else ""
        return f"{len(below)} inside{worst_one}" if below else ""

    @property
    def all_below(self) -> list[ModuleNode]:
        """Every module in it, at any depth."""
        return [node for child in self for node in (child, *child.all_below)]

    def __iter__(self) -> Iterator[ModuleNode]:
        return iter(self.children.values())


def module_tree(rows: Iterable[dict[str, Any]]) -> ModuleNode:
    """The modules by their paths, in the order of their calls."""
    root = ModuleNode("", "")
    for row in rows:
        node = root
        for part in row["path"].split("."):
            path = f"{node.path}.{part}" if node.path else part
            node = node.children.setdefault(part, ModuleNode(part, path))
        node.rows.append(row)
    return root


def worst_modules(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ten calls with the largest error of their own, in units of the noise."""
    measured = [row for row in rows if row["own"]]
    return sorted(measured, key=lambda row: _rank(row["own"]), reverse=True)[:10]


def layer_parts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The two parts that the tree shows, for the summary."""
    titles = (("own", "layers, one by one"), ("inputs", "inputs of layers"))
    parts = [(title, [row[part] for row in rows if row[part]]) for part, title in titles]
    return [
        {"title": title, "tensors": found, "verdict": worst(each["verdict"] for each in found)}
        for title, found in parts
        if found
    ]


@dataclass(frozen=True, slots=True)
class Table:
    """A part with its tensors, the worst first."""

    part: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All of them."""
        return sorted(self.part["tensors"], key=_rank, reverse=True)

    @property
    def first(self) -> list[dict[str, Any]]:
        """The rows that are shown unfolded."""
        return self.rows[:FIRST]

    @property
    def rest(self) -> list[dict[str, Any]]:
        """The others."""
        return self.rows[FIRST:]


def _worst(measures: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    present = [each for each in measures if each]
    return max(present, key=_rank) if present else None


def _rank(measure: dict[str, Any]) -> tuple[int, float]:
    return VERDICTS.index(measure["verdict"]), plain(measure["ratio"])


def plain(value: Any) -> float:
    """A number that can be sorted and drawn: NaN and what is missing are 0."""
    number = float(value) if value is not None else 0.0
    return 0.0 if math.isnan(number) else number


def position(ratio: Any) -> float:
    """Where a multiple of the noise lies on a bar, in percent."""
    number = plain(ratio)
    if number <= 0:
        return 0.0
    return round(100 * min(max((math.log10(min(number, 1e300)) - LOW) / (HIGH - LOW), 0.0), 1.0), 2)


def with_code(text: str) -> Markup:
    """Text in which `this` is code."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("`")]
    code = [Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)]
    return Markup("").join(code)


def short(value: Any) -> str:
    """A number in at most eight characters; "" for none."""
    if value is None:
        return ""
    number = float(value)
    if not math.isfinite(number):
        return "∞" if number > 0 else "-∞" if number < 0 else "NaN"
    if number == 0:
        return "0"
    if 0.01 <= abs(number) < 1000:
        return f"{number:.2f}"
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.1e}"
