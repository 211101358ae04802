"""Runs OneFlow in a process of its own: some operators of OneFlow 0.9.0 end the whole process where others raise.

Where a layer does so, this is noted, and the rest is compared in a new process with PyTorch's output in place of that
layer's.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from torch2flow import errors
from torch2flow.errors import DifferenceError
from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference

Say = Callable[[str], None]
Take = Callable[[dict[str, Any]], None]

MOST_CRASHES = 10
"""After so many crashes the rest is not compared."""


def compare_isolated(folder: Path, recording: Reference, request: Request, ledger: Ledger, say: Say) -> dict[str, str]:
    """Compares a converted model, in as many processes as it takes until no layer ends one.

    Args:
        folder: the converted model.
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

        def take(row: dict[str, Any], inside: list[str] = inside) -> None:
            versions.update(row.get("done", {}))
            _take(row, ledger, inside, say)

        ending = _run({"folder": str(folder), "reference": str(recording.path), "request": asdict(request)}, take)
        if not ending:
            break
        name = inside[-1] if inside else "the model"
        ledger.fail(name, ending)
        if not inside or name in request.crashed:
            break
        request = replace(request, crashed=(*request.crashed, name))
    return versions


def minimise_isolated(folder: Path, recording: Reference, where: Divergence, out: Path) -> str:
    """Writes the smallest case of a difference as a script; returns one sentence about it, or why there is none."""
    rows: list[dict[str, Any]] = []
    job = {"folder": str(folder), "reference": str(recording.path), "where": asdict(where), "out": str(out)}
    ending = _run(job, rows.append)
    if ending:
        return f"no smallest case: {ending}"
    return next((str(row["minimised"]) for row in rows if "minimised" in row), "")


def _run(job: dict[str, Any], take: Take) -> str:
    """Runs one job in a process. Returns how the process died, or "" if the job was finished."""
    done = False
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors_of:
        process = _start(job, errors_of)
        with process, contextlib.closing(_rows(process)) as rows:
            for row in rows:
                done = done or "done" in row
                take(row)
        errors_of.seek(0)
        return "" if done else _ending(process.returncode, errors_of.read().strip())


def _start(job: dict[str, Any], errors_of: IO[str]) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "torch2flow.proof.parity.worker", str(writing)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors_of, pass_fds=[writing]
    )
    os.close(writing)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps(job).encode())
    process.stdin = None
    process.stdout = os.fdopen(reading, "rb")
    return process


def _rows(process: subprocess.Popen[bytes]) -> Generator[dict[str, Any], None, None]:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.endswith(b"\n"):  # what was cut off by the end of the process is no row
                yield json.loads(line)
    finally:
        if process.poll() is None:
            process.terminate()


def _take(row: dict[str, Any], ledger: Ledger, inside: list[str], say: Say) -> None:
    if "enter" in row:
        inside.append(row["enter"])
    elif "leave" in row:
        inside.pop()
    elif "say" in row:
        inside.clear()  # a phase that an exception ended has left no layer
        say(row["say"])
    elif "error" in row:
        kind: type[errors.Torch2FlowError] = getattr(errors, row["error"], DifferenceError)
        raise kind(row["what"], where=row["where"], remedy=row["remedy"])
    elif "done" not in row:
        ledger.accept(row)


def _ending(code: int | None, said: str) -> str:
    """One sentence: how the process ended, and the last useful line that it printed."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.lstrip().startswith(("@", "***"))]
    reason = next((line for line in reversed(lines) if "Check failed" in line or "Error" in line), "")
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"OneFlow ended the whole process ({how}){': ' + reason[:300] if reason else ''}"
