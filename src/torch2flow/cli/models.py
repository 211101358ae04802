"""`torch2flow capture | verify | operators`: the commands for models: what PyTorch computes, and if OneFlow does."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torch2flow.cli.options import PATH, SEED
from torch2flow.cli.printing import print_json
from torch2flow.errors import DifferenceError, OutputError, UsageError

if TYPE_CHECKING:
    from torch2flow.proof.parity.fresh_recording import Original


@click.command(
    epilog="""\b
Examples:
  torch2flow verify out
  torch2flow verify out --report report.html
  torch2flow verify out --reference model.reference.safetensors --modules '^layer4' --json
  torch2flow verify out --against nets.py:Net --python ../torch/bin/python --input 'float32[2,3,64,64]'
  torch2flow verify out --minimise case.py            the smallest layer and input that still differ"""
)
@click.argument("out", type=PATH)
@click.option("--reference", type=PATH, metavar="FILE", help="The recording, or its .pt2.")
@click.option("--against", metavar="MODULE:FACTORY", help="Record this PyTorch model now, and compare with it.")
@click.option("--python", default=sys.executable, metavar="PATH", help="With --against: a Python that has PyTorch.")
@click.option("--input", "inputs", multiple=True, metavar="[NAME=]SPEC", help="With --against: as for capture.")
@click.option("--size", "sizes", multiple=True, metavar="AXIS=NUMBER", help="With --against: as for capture.")
@click.option("--load-weights", is_flag=True, help="With --against: give the PyTorch model the weights of OUT.")
@click.option("--seed", type=SEED, default=0, help="With --against: of weights and inputs that are drawn.")
@click.option("--seeds", type=click.IntRange(1), default=1, help="With --against: so many seeds; the worst is shown.")
@click.option("--modules", default="", metavar="REGEX", help="Judge only layers whose path matches.")
@click.option("--layers/--no-layers", default=True, help="Compare every layer, as far as recorded. Default: yes.")
@click.option("--training/--no-training", default=True, help="Compare gradients and steps. Default: if recorded.")
@click.option("--graph", is_flag=True, help="Compare the outputs of flow.nn.Graph too.")
@click.option("--report", type=PATH, metavar="FILE.html", help="Write a page to look at.")
@click.option("--minimise", type=PATH, metavar="FILE.py", help="Write a failing layer as a script.")
@click.option("--overwrite", is_flag=True, help="Replace existing files at --report and --minimise.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was measured as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print the verdict only.")
def verify(out: Path, report: Path | None, minimise: Path | None, overwrite: bool, **given: Any) -> None:
    """Runs a converted model in OneFlow and compares it with what PyTorch recorded: outputs, layers, training.

    Exit code 0: every tensor is within the noise of float32.
    """
    from torch2flow.proof.parity import Request, verify_folder

    as_json, quiet = given.pop("as_json"), given.pop("quiet")
    for path in (report, minimise):
        if path is not None and os.path.lexists(path) and not overwrite:
            raise OutputError("The output exists.", where=str(path), remedy="choose another name, or add --overwrite")
    reference, seeds, original = given.pop("reference"), given.pop("seeds"), _original(given)
    if seeds > 1 and original is None:
        raise UsageError("Another seed draws other inputs, and a recording has its own.", remedy="--against")
    with contextlib.ExitStack() as stack:
        say = None
        if not (quiet or as_json):
            from torch2flow.cli import display

            say = stack.enter_context(display.steps())
        found = verify_folder(
            out, reference, Request(**given), original=original, seeds=seeds, minimise=minimise, overwrite=overwrite,
            say=say,
        )  # fmt: skip
    if report is not None:
        from torch2flow.proof.parity.report import write_report

        left = write_report(found.to_json(), report, overwrite=overwrite)
        found.notes += [left] if left else []
    if as_json:
        print_json(found.to_json())
    else:
        from torch2flow.cli import display

        display.show_verification(found, brief=quiet)
    if not found.faithful:
        sys.exit(DifferenceError.exit_code)


def _original(given: dict[str, Any]) -> Original | None:
    """Takes the options that belong to --against out of `given`."""
    from torch2flow.proof.parity.fresh_recording import Original

    names = ("python", "inputs", "sizes", "load_weights", "seed")
    options = {name: given.pop(name) for name in names}
    factory = given.pop("against")
    return Original(factory, **options) if factory else None


@click.command(
    epilog="""\b
Inputs:
  float32[batch,3,224,224]      a dtype and its axes; a name makes an axis dynamic, the same name the same size
  ids=int64[batch,seq]:0..30522 a keyword, with the range of its values (integers: 0..2 where none is said)
  mask=bool[batch,seq]          floats are normally distributed, booleans either; one number stands for all: :1
  image.npy[batch,_,_,_]        the values of a file; names for its axes where some are dynamic
  inputs.safetensors            every tensor of a file as a keyword, or in order where the names are numbers
  output_attentions=True        a constant

\b
Examples:
  torch2flow capture 'torchvision.models:resnet18(weights=None)' -o model.pt2 --input 'float32[batch,3,224,224]'
  torch2flow capture nets.py:Net -o net.pt2 --input 'float32[batch,seq,8]' --size seq=16 --gradients
  torch2flow capture nets.py:Net --weights best.pth -o net.pt2 --input 'float32[batch,3,64,64]'
  torch2flow capture scripted.pt -o net.pt2 --input 'float32[batch,3,64,64]'
  torch2flow capture ./bert-folder -o bert.pt2
  torch2flow capture ./llama-folder -o step.pt2 --cache     to generate text token by token
  torch2flow capture ./llama-folder -o llama.pt2 --without-weights     a model larger than the memory
  torch2flow capture project.bert:tiny -o bert.pt2 --input 'int64[batch,seq]:0..30522' --input 'mask=bool[batch,seq]'"""
)
@click.argument("model", metavar="MODULE:FACTORY")
@click.option("-o", "--output", "out", required=True, type=PATH, help="The .pt2 to write.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]SPEC", help="An input of forward; see below. In order."
)
@click.option("--size", "sizes", multiple=True, metavar="AXIS=NUMBER", help="How long a named axis is in the sample.")
@click.option("--weights", type=PATH, metavar="FILE", help="A checkpoint that is loaded into the model, as data.")
@click.option("--key", metavar="PATH", help="The part of --weights to take, as a dotted path.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="For the names of --weights: as for convert.")
@click.option(
    "--without-weights",
    is_flag=True,
    help="Never hold all weights in memory: the .pt2 has none, and convert --weights takes them from the checkpoint.",
)
@click.option("--cache", is_flag=True, help="A folder's decoder: the step that takes keys and values, and gives them.")
@click.option("--part", default="", metavar="PATH", help="Capture a module of the model alone, such as encoder.")
@click.option("--train", is_flag=True, help="Capture in train mode. Default: eval mode.")
@click.option("--no-dropout", is_flag=True, help="Set every dropout probability to 0 first.")
@click.option("--gradients", is_flag=True, help="Record gradients, and parameters and buffers after a step of SGD.")
@click.option(
    "--reference",
    type=click.Choice(["all", "outputs", "none"]),
    default="all",
    show_default=True,
    help="What to record beside the model: every layer's output, the model's only, or nothing.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of weights and inputs that are drawn.")
@click.option("--overwrite", is_flag=True, help="Replace an existing capture at -o.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def capture(model: str, inputs: tuple[str, ...], out: Path, quiet: bool, as_json: bool, **given: Any) -> None:
    """Records a live PyTorch model as a .pt2, and what it computes as OUT.reference.safetensors. Runs PyTorch.

    MODULE:FACTORY is a function, a class or a module instance, such as torchvision.models:resnet18 or
    nets.py:Net(width=64); or a file of TorchScript; or a folder of transformers'. It is built, run and exported by
    the PyTorch of this very Python.
    """
    from torch2flow.checkpoints.names.user_choice import read_rules
    from torch2flow.proof.capture.given_weights import GivenWeights
    from torch2flow.proof.capture.request import capture_named

    weights, key, rename = given.pop("weights"), given.pop("key"), read_rules(given.pop("rename"))
    if weights is None and (key is not None or rename):
        raise UsageError("--key and --rename are for the checkpoint of --weights.", remedy="add --weights FILE")
    given["weights"] = None if weights is None else GivenWeights(weights, key, rename)

    gc.enable()  # here live objects of other libraries come and go
    given["dropout"] = not given.pop("no_dropout")
    with contextlib.ExitStack() as stack:
        say = None
        if not (quiet or as_json):
            from torch2flow.cli import display

            say = stack.enter_context(display.steps())
            given["tell"] = display.show_note
        # What the model's own code prints is no part of the output.
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        captured = capture_named(model, inputs, out, say=say, **given)
    if as_json:
        print_json(captured.to_json())
    elif not quiet:
        display.show_capture(captured)


@click.command(epilog="\b\nExamples:\n  torch2flow operators\n  torch2flow operators aten.upsample")
@click.argument("name", default="")
@click.option("--rules", multiple=True, type=PATH, metavar="FILE.py", help="Your own rules too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def operators(name: str, rules: tuple[Path, ...], as_json: bool) -> None:
    """Lists the operators with a rule: which OneFlow code stands for each, and where the rule is written."""
    from torch2flow.models.lowering.listing import load_rules, operator_rows

    for path in rules:
        load_rules(path)
    rows = operator_rows(name)
    if as_json:
        print_json([row.to_json() for row in rows])
    else:
        from torch2flow.cli import display

        display.show_operators(rows)
    if not rows:
        raise UsageError(f"No operator's name holds {name!r}.", remedy="torch2flow operators lists them all")
