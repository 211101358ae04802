"""The command line: the only wing that prints."""

from __future__ import annotations

import sys

from torch2flow.cli.guard import guarded


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with its exit code."""
    given = sys.argv[1:] if arguments is None else arguments

    def work() -> int:
        from torch2flow.cli.commands import run  # inside the guard: a package that is missing is one sentence too

        return run(given, owns_process=arguments is None)

    sys.exit(guarded(work, lambda: given[:1] == ["--debug"]))
