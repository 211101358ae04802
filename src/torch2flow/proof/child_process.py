"""How this process and a child of it speak: the protocol of those that run OneFlow, or PyTorch in another environment.

The job is JSON on the child's standard input. Its answer is a row of JSON a line, on a descriptor whose number is the
last argument: nothing that a library prints gets in between. A `Torch2FlowError` in the child is raised here.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from torch2flow import errors
from torch2flow.guards.termination import ended_by_sigterm

ENDING = 1.0
"""Seconds that a child has to end when it has said everything; OneFlow can take long."""

Row = dict[str, Any]
Emit = Callable[[Row], None]


def ask(command: Sequence[str], job: Row, take: Emit) -> tuple[int, str]:
    """Starts a child and gives it a job.

    Args:
        command: what to start; the number of the descriptor is added.
        job: what the child shall do.
        take: called with each row of its answer; if it raises, the child is ended.

    Returns:
        How the child ended, as `Popen.returncode` says it, and what it printed.

    Raises:
        Torch2FlowError: whatever the child raised.
        OSError: the child can't be started.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as answers, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        try:
            process = subprocess.Popen(
                [*command, str(writing)], stdin=subprocess.PIPE, stdout=printed, stderr=printed, pass_fds=[writing]
            )
        finally:
            os.close(writing)
        assert process.stdin is not None
        with process, ended_by_sigterm():
            try:
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    process.stdin.write(json.dumps(job).encode())
                process.stdin = None
                for line in answers:
                    if line.endswith(b"\n"):  # what was cut off by the end of the process is no row
                        _pass_on(json.loads(line), take)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=ENDING)  # how it ends is its own to say, as long as that takes a moment
            finally:
                if process.poll() is None:
                    process.terminate()
        printed.seek(0)
        return process.returncode, printed.read().strip()


def _pass_on(row: Row, take: Emit) -> None:
    if "error" not in row:
        take(row)
        return
    kind: type[errors.Torch2FlowError] = getattr(errors, row["error"], errors.DifferenceError)
    raise kind(row["what"], where=row["where"], maybe=row["maybe"], remedy=row["remedy"])


def answer(work: Callable[[Row, Emit], None]) -> None:
    """The child's side: does the job on standard input.

    Args:
        work: called with the job, and with a function that emits a row of the answer.
    """
    job = json.load(sys.stdin)
    with os.fdopen(int(sys.argv[-1]), "w", buffering=1, encoding="utf-8") as stream:

        def emit(row: Row) -> None:
            stream.write(json.dumps(row) + "\n")

        try:
            work(job, emit)
        except Exception as error:
            if not isinstance(error, errors.Torch2FlowError):
                traceback.print_exc()  # while the parent still waits for rows: it ends a child that sends none any more
                sys.stderr.flush()
                os._exit(1)
            told = {"what": error.what, "where": error.where, "maybe": error.maybe, "remedy": error.remedy}
            emit({"error": type(error).__name__, **told})
