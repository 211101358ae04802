"""`torch2flow port --verify-script`: the ported script is run beside the original."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from torch2flow.errors import DifferenceError

if TYPE_CHECKING:
    from torch2flow.port.tree import SourceTree

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


def prove_script(
    tree: SourceTree, out: Path, python: str | None, given: dict[str, Any], *, loud: bool, quiet: bool
) -> tuple[dict[str, Any], int]:
    """Runs what `--verify-script` names on both sides, and shows its losses.

    Args:
        tree: what was ported.
        out: where it is.
        python: the interpreter that has PyTorch; None for this one.
        given: the options of `script_options`.
        loud: show what is being done, and the table of losses.
        quiet: show the verdict only.

    Returns:
        Everything that was measured, as plain data, and the exit code.
    """
    from torch2flow.cli import display
    from torch2flow.proof.scripts.both_sides import ScriptRun, verify_script

    run = ScriptRun(
        given["verify_script"], tree.root, out.absolute(), tree.name, python or "", given["steps"],
        given["ranks"],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        found = verify_script(run, stack.enter_context(display.steps())) if loud else verify_script(run)
    if loud or quiet:
        display.show_script(found, brief=quiet)
    return found.to_json(), 0 if found.is_same else DifferenceError.exit_code
