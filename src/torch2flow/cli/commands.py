"""The command line as a whole: all commands, in the order in which a user meets them. Each parses, calls and prints."""

from __future__ import annotations

import gc
import sys

import click

from torch2flow._version import __version__
from torch2flow.cli.checkpoints import check, convert, diff, inspect
from torch2flow.cli.command_group import OrderedGroup
from torch2flow.cli.language import translate_help
from torch2flow.cli.models import capture, operators, verify
from torch2flow.cli.options import check_arguments
from torch2flow.cli.port import port
from torch2flow.cli.printing import print_json
from torch2flow.cli.run import run as run_program
from torch2flow.cli.scale import launch, libai, plan
from torch2flow.cli.zoo import zoo
from torch2flow.errors import InstallationError, UsageError

EXIT_CODES = """\b
Exit codes:
  0  done, nothing differs
  1  a check found a difference
  2  the request can't be carried out: a wrong option, a key that is not there
  3  the input is missing, broken, hostile, or no checkpoint
  4  the target can't hold some tensors, and no option said what becomes of them; PyTorch can't export the model;
     ported code uses what OneFlow can't do
  5  the output exists or can't be written or printed; the system refuses something
  6  OneFlow or PyTorch is needed and missing: see 'torch2flow doctor'
  70  a defect of torch2flow: please report it
  130  interrupted"""


@click.group(
    cls=OrderedGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="torch2flow")
@click.option("--debug", is_flag=True, help="Show where in the code a defect of torch2flow arises.")
def cli(debug: bool) -> None:
    """Moves checkpoints, models and source code from PyTorch to OneFlow, and proves that both compute the same.

    \b
    torch2flow convert model.pth -o out            a checkpoint; then: model.load_state_dict(flow.load("out"))
    torch2flow capture nets.py:Net -o net.pt2 ...  a model; then: convert net.pt2 -o net, and verify net
    torch2flow port nets.py -o flow_nets.py        source code
    """


@click.command(epilog="\b\nExample:\n  torch2flow doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Says what is installed, what is missing, and the command that mends it."""
    from torch2flow.runtime.doctor import diagnose

    report = diagnose()
    if as_json:
        print_json(report.to_json())
    else:
        from torch2flow.cli import display

        display.show_doctor(report)
    sys.exit(0 if report.core_works else InstallationError.exit_code)


for command in (
    *(inspect, convert, check, diff, verify, capture, port, run_program),
    *(zoo, plan, launch, libai, operators, doctor),
):
    cli.add_command(command)


def run(arguments: list[str], owns_process: bool = False) -> int:
    """Runs the command line inside the guard; returns the exit code, one of `EXIT_CODES`.

    Args:
        arguments: the words after `torch2flow`.
        owns_process: the process is there for this command alone, which may become another program.

    Raises:
        Torch2FlowError: the command can't be carried out.
    """
    # A checkpoint is tens of thousands of small objects that live to the end: looking for cycles among them
    # takes a third of the time.
    gc.disable()
    check_arguments(arguments)
    translate_help(cli)
    try:
        cli(arguments, prog_name="torch2flow", standalone_mode=False, obj=owns_process)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "torch2flow"
        raise UsageError(error.format_message(), remedy=f"{command} --help shows what it takes") from None
    return 0
