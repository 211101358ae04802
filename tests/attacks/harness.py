"""Runs jobs in the worker (`worker.py`) and looks at what they left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass
class Outcome:
    """What became of one job.

    Attributes:
        status: exit status of the fork; negative is the signal that ended it.
        answer: what the task returned, or `refused` or `leaked` with the error's text.
        output: what it printed.
        errors: what it printed on stderr.
        peak: resident memory at its highest, in MiB.
        cpu: processor seconds it took.
    """

    status: int
    answer: dict[str, Any]
    output: str
    errors: str
    peak: float
    cpu: float

    @property
    def fault(self) -> str:
        """Why this is no success and no clear error, or ""."""
        if self.status == -14 or self.status == -24:
            return "it ran out of time"
        if self.status == 99:
            return f"it executed something: {self.errors}"
        if self.status < 0:
            return f"it was ended by signal {-self.status}"
        if "leaked" in self.answer:
            return f"it raised {self.answer['leaked']}\n{self.answer['trace']}"
        return "" if self.status == 0 else f"it ended with {self.status}: {self.errors[-500:]}"


class Worker:
    """One worker process for all tests of a session."""

    def __init__(self) -> None:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
        command = [sys.executable, str(HERE / "worker.py")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, task: str, folder: Path, **job: Any) -> Outcome:
        """Runs one job; its report lies in `folder`."""
        report = folder / "report"
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"task": task, "report": str(report), **job}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the worker ended"
        reply = json.loads(line)
        raw = report.read_bytes()
        output, errors = (report.with_suffix(s).read_text("utf-8", "replace") for s in (".out", ".err"))
        return Outcome(
            reply["status"], json.loads(raw) if raw else {}, output, errors, reply["peak"] / 1024, reply["cpu"]
        )

    def close(self) -> None:
        """Ends the worker."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder, with its mode and size: equal before and after means that nothing was written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_size)
    return found
