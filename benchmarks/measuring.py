"""Measures commands as whole processes, the contenders of a comparison in turn: A B C, A B C, ...

What else the machine does then hits all of them alike; the figures are medians.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from lab import Lab, empty, read_all


class FailedRunError(Exception):
    """A command that was to be measured did not end well."""


@dataclass(frozen=True)
class Run:
    """One run of one command.

    Attributes:
        wall: seconds on the clock.
        cpu: seconds of computing, in the program and in the kernel, of all its processes.
        rss: peak resident bytes of its largest process.
        told: the figures that the command printed, if it printed a line of JSON and nothing else.
    """

    wall: float
    cpu: float
    rss: int
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Attributes:
        label: what the table calls it.
        command: its command line, given a new path to write to.
        reads: files and folders that are brought into the page cache before each run.
        at_most: how many runs are enough, for one that takes minutes.
        output: what it must have written at the path to count, relative to it; None if nothing.
    """

    label: str
    command: Callable[[Path], Sequence[str | Path]]
    reads: tuple[Path, ...] = ()
    at_most: int = 1000
    output: str | None = None


@dataclass(frozen=True)
class Figures:
    """The runs of one contender."""

    label: str
    runs: list[Run]

    @property
    def wall(self) -> float:
        """Median seconds on the clock."""
        return median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """Median seconds of computing."""
        return median(run.cpu for run in self.runs)

    @property
    def rss(self) -> float:
        """Largest peak of memory of all runs, in bytes: a bound must hold every time."""
        return max(run.rss for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest run."""
        return min(run.wall for run in self.runs), max(run.wall for run in self.runs)

    def told(self, name: str) -> float:
        """Median of a figure that the command printed."""
        return float(median(run.told[name] for run in self.runs))


def compare(lab: Lab, contenders: Sequence[Contender]) -> list[Figures]:
    """Runs all contenders in turn: once to warm up, then `lab.runs` times.

    Raises:
        FailedRunError: a command failed, or did not write its output.
    """
    runs: list[list[Run]] = [[] for _ in contenders]
    for turn in range(lab.runs + 1):
        for contender, kept in zip(contenders, runs, strict=True):
            if len(kept) < contender.at_most:
                run = _run_once(lab, contender)
                if turn:
                    kept.append(run)
    return [Figures(contender.label, kept) for contender, kept in zip(contenders, runs, strict=True)]


def _run_once(lab: Lab, contender: Contender) -> Run:
    out = lab.fresh("out")
    for path in contender.reads:
        read_all(path)
    lab.settle()
    run = measure(lab, contender.command(out))
    if contender.output is not None and not (out / contender.output).exists():
        raise FailedRunError(f"{contender.label} wrote no {contender.output or 'output'}")
    # Deleting many files would slow down the making of files that follows (docs/performance.md); this gives
    # back their bytes and leaves the names.
    empty(out)
    return run


def measure(lab: Lab, command: Sequence[str | Path]) -> Run:
    """Runs a command; what it prints as JSON becomes `told`.

    Raises:
        FailedRunError: it failed.
    """
    words = [str(word) for word in command]
    stdout, stderr = lab.fresh("stdout"), lab.fresh("stderr")
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    answer = subprocess.run(
        [*launcher, str(stdout), str(stderr), *words], capture_output=True, text=True, env=_environment()
    )
    if answer.returncode:
        raise FailedRunError(f"{words[0]} could not be started: {answer.stderr.strip()[-300:]}")
    figures = json.loads(answer.stdout)
    if figures["code"]:
        text = stderr.read_text("utf-8", "replace").strip()[-1000:]
        raise FailedRunError(f"{' '.join(words)} ended with {figures['code']}: {text}")
    printed = stdout.read_text("utf-8", "replace")
    is_figures = printed.startswith("{") and printed.count("\n") == 1
    return Run(figures["wall"], figures["cpu"], figures["rss"], json.loads(printed) if is_figures else {})


def _environment() -> dict[str, str]:
    """That of the user, but Python keeps the bytecode it compiled, as it does for an installed package."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
