"""Runs a script as a real job of OneFlow's, by `torch2flow launch`."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

JOBS = Path(__file__).resolve().parent.parent / "scale" / "jobs"


@dataclass(frozen=True)
class Ran:
    """What a job did: its exit code, what each rank printed, all of standard error, and how long it took."""

    code: int
    printed: list[list[str]]
    errors: str
    seconds: float


def run_job(python: Path, count: int, script: str | Path, *arguments: str, listens: bool = True) -> Ran:
    """A script of `jobs/`, or any other, on `count` ranks.

    Args:
        listens: whether it imports OneFlow, by which rank 0 listens for the others.
    """
    path = script if isinstance(script, Path) else JOBS / script
    started = time.monotonic()
    options = ["--nproc-per-node", str(count), "--timeout", "60" if listens else "0.2"]
    command = [python, "-m", "torch2flow", "launch", *options, path, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    printed: list[list[str]] = [[] for _ in range(count)]
    for line in done.stdout.splitlines():
        label, _, text = line.partition("] ")
        if count == 1:
            printed[0].append(line)
        else:
            printed[int(label[1:])].append(text)
    return Ran(done.returncode, printed, done.stderr, time.monotonic() - started)
