"""The command line in this process, as a user meets it: its exit code, and what it wrote to both streams."""

from __future__ import annotations

import gc
import io
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from attack_counts import record_counts

from torch2flow.cli import main
from torch2flow.cli.commands import EXIT_CODES, cli

SECONDS_A_COMMAND = 10
DOCUMENTED = {int(line.split()[0]) for line in EXIT_CODES.splitlines() if line.strip()[:1].isdigit()}
DEFECT = 70


class TooSlow(BaseException):
    """A command ran longer than any may."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one command."""

    arguments: list[str]
    code: int
    output: str
    errors: str

    @property
    def fault(self) -> str:
        """What is wrong with how it ended, or ""."""
        if self.arguments[:1] in (["launch"], ["run"]) and self.code != DEFECT:
            return ""  # the script that is run says what it likes, and its code is passed on
        said = f"{[argument[:200] for argument in self.arguments]!r} ended with {self.code}: {self.errors[-3000:]}"
        if self.code == DEFECT or self.code not in DOCUMENTED:
            return said
        if "Traceback" in self.errors + self.output or self.errors.count("torch2flow: ") > 1:
            return said
        is_told = "torch2flow: " in self.errors or self.code in (0, 1, 6)
        return "" if is_told else said


class _Captured(io.TextIOWrapper):
    """A stream that keeps what is written to it also when it is closed."""

    def __init__(self) -> None:
        self.held = io.BytesIO()
        super().__init__(self.held, "utf-8", "backslashreplace")

    def text(self) -> str:
        self.flush()
        return self.held.getvalue().decode("utf-8", "replace")


def run_here(*arguments: object) -> Ran:
    """Runs `torch2flow ARGUMENTS` in this process."""
    given = [str(argument) for argument in arguments]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, errors = _Captured(), _Captured()
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_COMMAND)
    try:
        main(given)
    except SystemExit as end:
        code = end.code
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout, sys.stderr = before
        gc.enable()  # a command ends its process, and leaves what it opened to that
    assert isinstance(code, int)
    told = errors.text()
    if code == DEFECT and given[:1] != ["--debug"]:
        told += run_here("--debug", *given).errors[-2000:]
    return Ran(given, code, out.text(), told)


def _stop(number: int, frame: Any) -> None:
    raise TooSlow(f"it ran longer than {SECONDS_A_COMMAND} s")


def commands(group: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command there is, with the words that name it."""
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))
    else:
        yield path, group


def chosen(cases: list[Any], most: int) -> list[Any]:
    """All cases in a long run, else some that are drawn by a fixed seed."""
    if "TORCH2FLOW_FUZZ_SECONDS" in os.environ or len(cases) <= most:
        return cases
    return random.Random(0).sample(cases, most)


def report(what: str, runs: list[Ran]) -> None:
    """Counts what became of commands, and fails with all that did not end as they must."""
    faults = [run for run in runs if run.fault]
    refused = sum(run.code not in (0, 1) for run in runs) - len(faults)
    accepted = len(runs) - refused - len(faults)
    record_counts(what, inputs=len(runs), refused=refused, accepted=accepted, faults=len(faults))
    assert not faults, "\n\n".join(run.fault for run in faults[:20])


def odd_files(folder: Path) -> list[str]:
    """Paths of things that are no file a command could use."""
    made: list[tuple[str, Callable[[Path], Any]]] = [
        ("fifo", os.mkfifo),
        ("folder", Path.mkdir),
        ("loop", lambda path: path.symlink_to(path)),
        ("broken-link", lambda path: path.symlink_to("nowhere")),
        ("empty", Path.touch),
        ("latin", lambda path: path.write_bytes(b"caf\xe9 = \xff\n")),
        ("deep.json", lambda path: path.write_text("[" * 100_000)),
        ("deep.toml", lambda path: path.write_text("a = " + "[" * 100_000)),
        ("long.toml", lambda path: path.write_text("mesh = { a = " + "9" * 5000 + " }")),
        ("itself", lambda path: path.write_text("itself\n")),
        ("script.py", lambda path: path.write_text("raise SystemExit(3)\n")),
    ]
    for name, make in made:
        make(folder / name)
    return [str(folder / name) for name, _ in made]
