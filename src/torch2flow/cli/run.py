"""`torch2flow run`: a PyTorch program on OneFlow, as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from torch2flow.cli.options import PATH
from torch2flow.cli.printing import print_json
from torch2flow.errors import UnsupportedError, UsageError
from torch2flow.guards.child_python import own_module


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  torch2flow run train.py --epochs 1
  torch2flow run -m some_package.train --epochs 1
  torch2flow run --with some_metrics train.py           an installed package that imports PyTorch itself
  torch2flow run --check train.py                       what OneFlow can't do of it. Runs nothing""",
)
@click.option("-m", "as_module", is_flag=True, help="PROGRAM is a module's name, as for python -m.")
@click.option("--with", "along", multiple=True, metavar="NAME", help="Port this installed package too. Repeatable.")
@click.option("--rules", multiple=True, type=PATH, metavar="FILE.py", help="Your own substitutes. Runs it.")
@click.option("--check", is_flag=True, help="List what OneFlow can't do of the program, and run nothing.")
@click.option("--all", "every", is_flag=True, help="With --check: show also what was left out.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print JSON.")
@click.option("--no-cache", is_flag=True, help="Take nothing that was ported before, and keep nothing.")
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    program: str, arguments: tuple[str, ...], rules: tuple[Path, ...], check: bool, every: bool, as_json: bool,
    no_cache: bool, as_module: bool, along: tuple[str, ...],
) -> None:  # fmt: skip
    """Runs a PyTorch program on OneFlow as it is: each of its modules is ported when it is imported.

    ARGUMENTS, streams, signals and the exit code are the program's own, as with python. Tracebacks show the author's
    lines. PyTorch is not used, and need not be there.
    """
    given: dict[str, Any] = {"name": program, "as_module": as_module, "along": along}
    if not check:
        if as_json or every:
            raise UsageError("--json and --all say how a --check is shown.", remedy="add --check")
        given |= {"rules": [str(each) for each in rules], "is_cached": not no_cache}
        sys.stdout.flush()
        sys.stderr.flush()
        options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        command = own_module("torch2flow.cli.running", json.dumps(given), *arguments, options=options)
        if not click.get_current_context().obj:
            code = subprocess.run(command, check=False).returncode
            sys.exit(code if code >= 0 else 128 - code)
        os.execv(command[0], command)
    from torch2flow.port.own_rules import load_own_rules
    from torch2flow.port.running.program import RunRequest
    from torch2flow.port.running.program_check import check_program

    load_own_rules(rules)
    done = check_program(RunRequest(**given))
    if as_json:
        print_json(done.to_json())
    else:
        from torch2flow.cli import display

        display.show_port(done, every=every)
    if done.tally.uses["cannot"]:
        sys.exit(UnsupportedError.exit_code)
