"""`torch2flow port --verify-script`: the ported script is run beside the original."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from torch2flow.errors import UsageError

if TYPE_CHECKING:
    from torch2flow.proof.scripts.step_comparison import ScriptComparison

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option("--verify-script", metavar="COMMAND", help="Then run this script of SRC on both sides, and compare."),
    click.option("--steps", type=click.IntRange(1), default=50, help="With --verify-script: so many. Default: 50."),
    click.option("--ranks", type=click.IntRange(1, 64), default=1, help="With --verify-script: so many processes."),
)


def script_options(command: Command) -> Command:
    """Gives a command the options of a script's verification."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def verify_ported_script(
    given: dict[str, Any], source: Path, out: Path | None, package: str, python: str | None, *, silent: bool
) -> ScriptComparison | None:
    """Runs both sides, if that is asked for.

    Args:
        given: what the options say.
        source: the original.
        out: what was written.
        package: the name of the package that it is; "" if it is none.
        python: an interpreter that has PyTorch; None for this one.
        silent: nothing is said meanwhile.
    """
    if given["verify_script"] is None:
        return None
    if out is None:
        raise UsageError("--verify-script runs what was written.", remedy="give -o OUT, and no --check")
    from torch2flow.proof.scripts.both_sides import ScriptRun, verify_script

    run = ScriptRun(
        given["verify_script"], source, out, package, python or "", given["steps"],
        given["ranks"],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        if silent:
            return verify_script(run)
        from torch2flow.cli import display

        return verify_script(run, stack.enter_context(display.steps()))
