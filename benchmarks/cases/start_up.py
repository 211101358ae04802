"""How long `torch2flow --help` takes: what every command pays before it does anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lab import Lab, torch2flow
from measuring import Contender, compare
from report import Comparison, Target


def run(lab: Lab) -> Iterator[Comparison]:
    """Against a Python that does nothing."""
    contenders = [
        Contender("torch2flow --help", lambda out: [torch2flow(), "--help"]),
        Contender("python -c pass", lambda out: [sys.executable, "-c", "pass"]),
    ]
    figures = compare(lab, contenders)
    yield Comparison("Start-up", figures, [Target("torch2flow --help", figures[0].wall, 0.2, "s")])
