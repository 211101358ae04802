"""Runs a program of this folder as a job: `ranks.py COUNT NAME ARGUMENTS...`; rank 0 says what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

from torch2flow.scale.launching import Job


def write(line: str, is_error: bool) -> None:
    """Shows what rank 0 prints without its number, and everybody's errors."""
    if is_error:
        sys.stderr.write(line)
    elif line.startswith("[0] "):
        sys.stdout.write(line.removeprefix("[0] "))


def main(count: str, name: str, *arguments: str) -> int:
    """Runs the job."""
    return Job(str(Path(__file__).with_name(f"{name}.py")), arguments, nproc_per_node=int(count), write=write).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
