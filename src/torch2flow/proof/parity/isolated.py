"""Runs OneFlow in a process of its own: some operators of OneFlow 0.9.0 end the whole process where others raise.

Where a layer does so, this is noted, and the rest is compared in a new process with PyTorch's output in place of that
layer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch2flow.guards.child_python import same_python
from torch2flow.proof.child_process import Emit, ask
from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference

WORKER = "from torch2flow.proof.parity.worker import main; main()"

LOG_PREFIX = re.compile(r"^[FEWI]\d{8} [\d:.]+ +\d+ ")
"""What OneFlow's log puts before each line: level, time, thread."""

Say = Callable[[str], None]

MOST_ENDED = 4
"""After so many changes to the code that end the process, no more are tried."""

MOST_SKIPPED = 10_000
"""A change to the code with a higher number is not tried."""

MOST_CRASHES = 10
"""After so many crashes the rest is not compared."""


def compare_isolated(
    subject: Mapping[str, Any], recording: Reference, request: Request, ledger: Ledger, say: Say
) -> dict[str, str]:
    """Compares a OneFlow model, in as many processes as it takes until no layer ends one.

    Args:
        subject: the part of a job that says which: the `folder` of a converted one, or what builds a `ported` one.
        recording: what it is compared with.
        request: what is compared.
        ledger: takes what is found.
        say: is told what is being done.

    Returns:
        The versions of what was involved.

    Raises:
        Torch2FlowError: whatever was raised there.
    """
    versions: dict[str, str] = {}
    for _ in range(MOST_CRASHES):
        inside: list[str] = []
        phases = ["the model"]

        def take(row: dict[str, Any], inside: list[str] = inside, phases: list[str] = phases) -> None:
            versions.update(row.get("done", {}))
            if "say" in row:
                phases.append(row["say"])
            _take(row, ledger, inside, say)

        ending = _run({**subject, "reference": str(recording.path), "request": asdict(request)}, take)
        if not ending:
            break
        name = inside[-1] if inside else phases[-1]
        again = name in request.crashed
        if inside or again:  # what ends it outside of a layer, and once in many times, is OneFlow's own
            ledger.fail(name, ending)
        if again:
            break
        request = replace(request, crashed=(*request.crashed, name))
    return versions


def explain_isolated(
    folder: Path, recording: Reference, where: Divergence, pairs: dict[str, str]
) -> tuple[str, str] | None:
    """The change to the code that would make a wrong tensor PyTorch's, and the module; None if none was found."""
    skip = 0
    for _ in range(MOST_ENDED):
        rows: list[dict[str, Any]] = []
        job = {
            "folder": str(folder), "reference": str(recording.path), "where": asdict(where), "pairs": pairs,
            "skip": skip,
        }  # fmt: skip
        if not _run(job, rows.append):
            found = next((row["explanation"] for row in rows if "explanation" in row), None)
            return None if found is None else (found[0], found[1])
        skip = next((int(row["trying"]) for row in reversed(rows) if "trying" in row), MOST_SKIPPED)
        if skip >= MOST_SKIPPED:
            break
    return None


def minimise_isolated(
    folder: Path, recording: Reference, where: Divergence, pairs: dict[str, str], out: Path, overwrite: bool = False
) -> str:
    """Writes the smallest case of a difference as a script; returns one sentence about it, or why there is none."""
    rows: list[dict[str, Any]] = []
    job = {
        "folder": str(folder), "reference": str(recording.path), "where": asdict(where), "pairs": pairs,
        "out": str(out), "overwrite": overwrite,
    }  # fmt: skip
    ending = _run(job, rows.append)
    if ending:
        return f"no smallest case: {ending}"
    return next((str(row["minimised"]) for row in rows if "minimised" in row), "")


def _run(job: dict[str, Any], take: Emit) -> str:
    """Runs one job in a process. Returns how the process died, or "" if the job was finished."""
    done = False

    def watch(row: dict[str, Any]) -> None:
        nonlocal done
        done = done or "done" in row
        take(row)

    code, printed = ask(same_python(WORKER), job, watch)
    return "" if done else _ending(code, printed)


def _take(row: dict[str, Any], ledger: Ledger, inside: list[str], say: Say) -> None:
    if "enter" in row:
        inside.append(row["enter"])
    elif "leave" in row:
        inside.pop()
    elif "say" in row:
        inside.clear()  # a phase that an exception ended has left no layer
        say(row["say"])
    elif "done" not in row:
        ledger.accept(row)


def _ending(code: int, said: str) -> str:
    """One sentence: how the process ended, and the last useful line that it printed."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.lstrip().startswith(("@", "***"))]
    reason = next((line for line in reversed(lines) if "Check failed" in line or "Error" in line), "")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    reason = LOG_PREFIX.sub("", reason)
    return f"OneFlow ended the whole process ({how}){': ' + reason[:300] if reason else ''}"
