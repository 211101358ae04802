"""What `port` tells of the code: what OneFlow can't do, and what was changed or needs a look."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class PortFinding:
    """One place of the code.

    Attributes:
        file: the path in the tree.
        line: from 1; 0 for the whole file.
        kind: `cannot`, where the ported code raises when it gets there; `look`, where what it does may differ, or what
            is done by hand; `changed`, where something without effect was left out; `error`, a file that is not ported.
        api: the name in PyTorch.
        reason: a sentence: what OneFlow lacks or does otherwise.
        remedy: what to do.
    """

    file: str
    line: int
    kind: str
    api: str
    reason: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Tally:
    """What was found in one file, or in all.

    Attributes:
        findings: in the order of the lines.
        uses: how many uses of PyTorch's names stay the `same`, go through `compat`, were `dropped`, or are what
            OneFlow `cannot` do.
        compat: the names of PyTorch that the compatibility module stands for.
        lines: how many lines were read.
    """

    findings: list[PortFinding] = field(default_factory=list)
    uses: Counter[str] = field(default_factory=Counter)
    compat: set[str] = field(default_factory=set)
    lines: int = 0

    def to_plain(self) -> tuple[Any, ...]:
        """Plain data, for another process or the cache."""
        rows = [tuple(finding.to_json().values()) for finding in self.findings]
        return rows, dict(self.uses), sorted(self.compat), self.lines

    @classmethod
    def from_plain(cls, row: tuple[Any, ...]) -> Tally:
        """The reverse."""
        findings, uses, compat, lines = row
        return cls([PortFinding(*each) for each in findings], Counter(uses), set(compat), lines)

    def add(self, other: Tally) -> None:
        """Adds what was found elsewhere."""
        self.findings += other.findings
        self.uses += other.uses
        self.compat |= other.compat
        self.lines += other.lines
