"""`torch2flow port --verify`: the ported models are compared with their originals, one or many."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torch2flow.cli.guard import tell
from torch2flow.cli.options import PATH, SEED
from torch2flow.errors import DifferenceError, OutputError, Torch2FlowError, UsageError

if TYPE_CHECKING:
    from torch2flow.port.tree import SourceTree
    from torch2flow.proof.parity import Verification

_OF_ONE = [
    click.option("--input", "inputs", multiple=True, metavar="[NAME=]SPEC", help="With --verify: as for capture."),
    click.option("--size", "sizes", multiple=True, metavar="AXIS=NUMBER", help="With --verify: as for capture."),
    click.option("--kwargs", default="{}", metavar="JSON", help="With --verify: more arguments for the factory."),
    click.option("--weights", type=PATH, metavar="FILE", help="With --verify: a checkpoint for both models."),
    click.option("--seed", type=SEED, default=0, help="With --verify: of weights and inputs that are drawn."),
    click.option("--no-layers", is_flag=True, help="With --verify: compare no layers."),
    click.option("--no-training", is_flag=True, help="With --verify: compare no gradients and no steps."),
]
"""What says how one model is verified: options of the command, and of each row of a file."""

_OF_ALL = [
    click.option(
        "--verify",
        metavar="MODULE:FACTORY",
        help="Build this model of SRC with PyTorch and of OUT with OneFlow, and compare them. Or a file of such rows.",
    ),
    *_OF_ONE,
    click.option("--as-is", is_flag=True, help="With --verify: OUT was ported before; leave it as it is."),
    click.option("--report", type=PATH, metavar="FILE.html", help="With --verify: write a page to look at."),
]


def proof_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of `--verify`."""
    for option in reversed(_OF_ALL):
        command = option(command)
    return command


LONGEST = 1 << 14
"""Letters of a row of the file; what takes words apart is slow in longer ones."""


@click.command(add_help_option=False)
@click.argument("verify", metavar="MODULE:FACTORY")
def _row(**given: Any) -> dict[str, Any]:
    """One row of a file."""
    return given


for _option in reversed(_OF_ONE):
    _row = _option(_row)


def rows_of(given: dict[str, Any]) -> list[dict[str, Any]]:
    """What is verified: the model that is named, or each row of the file that is named.

    Raises:
        UsageError: a row of the file is none, or `--kwargs` is no JSON.
    """
    name = given["verify"]
    rows = [given]
    if os.path.isfile(name):
        own = {"inputs": (), "sizes": (), "kwargs": "{}", "weights": None}
        if any(given[option] != default for option, default in own.items()):
            raise UsageError("Each row of the file has options of its own.", remedy="write --input into its row")
        rows = [_parsed(line, f"{name}:{number}") for number, line in enumerate(_lines(name), 1) if line]
        if not rows:
            raise UsageError("The file has no rows.", where=name)
    return [{**row, "kwargs": _arguments(row["kwargs"])} for row in rows]


def _lines(name: str) -> list[str]:
    from torch2flow.guards.regular_files import SMALL, read_whole

    lines = read_whole(Path(name), SMALL).decode("utf-8", "replace").splitlines()
    return ["" if line.lstrip().startswith("#") else line.strip() for line in lines]


def _parsed(line: str, where: str) -> dict[str, Any]:
    if len(line) > LONGEST:
        raise UsageError(f"A row of the file has more than {LONGEST} letters.", where=where)
    try:
        found: dict[str, Any] = _row.main(shlex.split(line), prog_name=where, standalone_mode=False)
        return found
    except (click.ClickException, ValueError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise UsageError(
            f"A row of the file is none: {said}",
            where=where,
            remedy="MODULE:FACTORY and options as on the command line: nets:Net --input 'float32[batch,3,64,64]'",
        ) from None


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("--kwargs is no JSON.", where=text[:200], maybe=str(error)) from None
    if not isinstance(found, dict):
        raise UsageError("--kwargs is no JSON object.", where=text[:200], remedy="""--kwargs '{"width": 64}'""")
    return found


def check_proof(given: dict[str, Any], check: bool, overwrite: bool) -> list[dict[str, Any]]:
    """What is verified, of each model a row; refuses, before any work, options that say nothing without others.

    Raises:
        UsageError: such options.
        OutputError: the report exists.
    """
    if given["verify"] is None:
        said = given["report"] is not None or given["inputs"] or given["weights"] is not None
        if said or (given["as_is"] and given["verify_script"] is None):
            raise UsageError("This belongs to --verify.", remedy="--verify MODULE:FACTORY names the model to compare")
    if check and (given["verify"], given["verify_script"]) != (None, None):
        raise UsageError("--check writes no code that could be verified.", remedy="give -o OUT")
    rows = rows_of(given) if given["verify"] is not None else []
    if rows:
        from torch2flow.proof.capture.factories import parse_factory

        for row in rows:
            parse_factory(row["verify"])
    if len(rows) > 1 and given["report"] is not None:
        raise UsageError("A report is of one model.", remedy="name it with --verify")
    if given["report"] is not None and os.path.lexists(given["report"]) and not overwrite:
        raise OutputError("The output exists.", where=str(given["report"]), remedy="add --overwrite")
    return rows


def prove(
    tree: SourceTree,
    out: Path,
    python: str | None,
    rows: list[dict[str, Any]],
    report: Path | None,
    *,
    overwrite: bool,
    loud: bool,
    quiet: bool,
) -> tuple[list[dict[str, Any]], int]:
    """Verifies what `--verify` names, and shows each verdict when it is there.

    Args:
        tree: what was ported.
        out: where it is.
        python: the interpreter that has PyTorch; None for this one.
        rows: what is verified, as `check_proof` gives it.
        report: where to write a page, of one model.
        overwrite: replace an existing report.
        loud: show what is being done, and the table of what was compared.
        quiet: show the verdict only.

    Returns:
        Everything that was measured, as plain data, and the exit code.

    Raises:
        Torch2FlowError: the original can't be built or run; of many, this is told, and the others are verified.
    """
    done: list[dict[str, Any]] = []
    codes: list[int] = []
    for row in rows:
        try:
            found = _verified(tree, out, python, row, loud)
        except Torch2FlowError as error:
            if len(rows) == 1:
                raise
            done.append({"model": {"class": row["verify"]}, "verdict": "not compared", "sentence": error.what})
            codes.append(error.exit_code)
            tell(error)
            continue
        if report is not None:
            from torch2flow.proof.parity.report import write_report

            found.notes += filter(None, [write_report(found.to_json(), report, overwrite=overwrite)])
        done.append(found.to_json())
        codes.append(0 if found.faithful else DifferenceError.exit_code)
        if loud or quiet:
            from torch2flow.cli import display

            many = len(rows) > 1
            display.show_verification(found, brief=quiet or many, label=_label(row) if many else "")
    different = DifferenceError.exit_code in codes
    return done, DifferenceError.exit_code if different else max(codes)


def _label(row: dict[str, Any]) -> str:
    """A row's factory with its arguments."""
    return " ".join([row["verify"], *([json.dumps(row["kwargs"])] if row["kwargs"] else [])])


def _verified(tree: SourceTree, out: Path, python: str | None, row: dict[str, Any], loud: bool) -> Verification:
    from torch2flow.proof.parity import Request
    from torch2flow.proof.parity.fresh_recording import Original
    from torch2flow.proof.parity.ported_models import verify_ported
    from torch2flow.proof.parity.ported_places import located

    request = Request(layers=not row["no_layers"], training=not row["no_training"])
    with contextlib.ExitStack() as stack:
        say: Callable[[str], None] = lambda text: None  # noqa: E731
        if loud:
            from torch2flow.cli import display

            say = stack.enter_context(display.steps())
        factory, ported = stack.enter_context(located(tree, out, row["verify"], row["kwargs"]))
        original = Original(factory, python or sys.executable, row["inputs"], row["sizes"], seed=row["seed"])
        return verify_ported(original, ported, request, weights=row["weights"], say=say)
