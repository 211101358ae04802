"""The command line: `torch2flow inspect | convert | check | diff | capture | ...`. Thin: parse, call, print."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torch2flow._version import __version__
from torch2flow.cli.command_group import OrderedGroup
from torch2flow.cli.language import translate_help
from torch2flow.cli.options import PATH, RANKS, SEED, check_arguments
from torch2flow.cli.port import port
from torch2flow.cli.printing import print_json
from torch2flow.cli.run import run as run_program
from torch2flow.cli.scale import launch, libai, plan
from torch2flow.cli.zoo import zoo
from torch2flow.errors import DifferenceError, InstallationError, OutputError, UsageError

if TYPE_CHECKING:
    from torch2flow.proof.parity.fresh_recording import Original

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
    """Turns PyTorch checkpoints into OneFlow checkpoints, bit for bit, with neither of them installed.

    \b
    torch2flow convert model.pth -o out         then: model.load_state_dict(flow.load("out"))
    torch2flow inspect model.pth                what is in it, without running anything in it
    torch2flow convert out -o model.safetensors and back
    """


@cli.command(
    epilog="""\b
Examples:
  torch2flow inspect model.pth
  torch2flow inspect run.ckpt --tree
  torch2flow inspect model.safetensors --json"""
)
@click.argument("file", type=PATH)
@click.option("--key", metavar="PATH", help="The part to show, as a dotted path; '.' is the whole.")
@click.option("--tree", is_flag=True, help="Show the whole object as a tree.")
@click.option("--filter", "pattern", default="", metavar="TEXT", help="Show only names that contain TEXT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(file: Path, key: str | None, tree: bool, pattern: str, as_json: bool) -> None:
    """Shows what a checkpoint holds: format, producer, tensors, ties, classes. Executes nothing in it."""
    from torch2flow.checkpoints.opening import open_checkpoint

    checkpoint = open_checkpoint(file, key)
    if as_json:
        from torch2flow.checkpoints.inspection import inspection

        print_json(inspection(checkpoint))
        return
    from torch2flow.cli import display

    if tree:
        display.show_tree(checkpoint)
    else:
        display.show_inspection(checkpoint, pattern)


@cli.command(
    epilog="""\b
Examples:
  torch2flow convert model.pth -o out
  torch2flow convert run.ckpt -o out --key ema.model
  torch2flow convert parallel.pth -o out --rename '^module\\.='
  torch2flow convert model.pth -o out --exclude '^head\\.' --dtype float16
  torch2flow convert run.ckpt -o out --key .          everything, optimizer included
  torch2flow convert big.safetensors.index.json -o out --plan llama --ranks 8     a folder for each rank
  torch2flow convert llama.pt2 --weights llama-folder -o llama     a model captured without its weights
  torch2flow convert out -o model.safetensors         back to PyTorch"""
)
@click.argument("source", metavar="FILE", type=PATH)
@click.option("-o", "--output", "out", required=True, type=PATH, help="The output folder or file.")
@click.option("--key", metavar="PATH", help="The part to convert, as a dotted path; '.' is the whole.")
@click.option(
    "--rename",
    multiple=True,
    metavar="OLD=NEW",
    help="Regular expression and replacement for every name, or a file of such lines. Repeatable, in order.",
)
@click.option("--include", multiple=True, metavar="REGEX", help="Convert only names that match. Repeatable.")
@click.option("--exclude", multiple=True, metavar="REGEX", help="Leave out names that match. Repeatable.")
@click.option(
    "--dtype",
    default="",
    metavar="NAME",
    help="Turn floating tensors into float16, bfloat16, float32 or float64.",
)
@click.option("--strict-dtype", is_flag=True, help="Refuse what OneFlow has no dtype for, in place of widening it.")
@click.option("--complex", "complex_", type=click.Choice(["real"]), help="Complex tensors: a last dimension of 2.")
@click.option(
    "--quantized",
    type=click.Choice(["dequantize", "int"]),
    help="Quantized tensors and packed weights (bitsandbytes, GPTQ, AWQ, float8): their values, or the integers.",
)
@click.option(
    "--merge-adapter",
    default="",
    metavar="BASE",
    help="FILE is PEFT's LoRA adapter: write the model BASE with it added.",
)
@click.option("--sparse", type=click.Choice(["dense"]), help="Sparse tensors: all their elements.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["folder", "file", "snapshot", "safetensors", "pth", "dcp"]),
    help="Default: folder, or by the suffix of -o.",
)
@click.option(
    "--weights", type=PATH, metavar="FOLDER", help="A .pt2 that holds no weights: the checkpoint that has them."
)
@click.option("--plan", metavar="PLAN", help="Cut it for the ranks of a job: a TOML file or a preset (docs/scale.md).")
@click.option("--ranks", type=RANKS, help="How many ranks PLAN is for.")
@click.option("--hash", "hashing", is_flag=True, help="Add a sha256 per tensor and of the source; verify checksums.")
@click.option("--sync", is_flag=True, help="Flush to disk before the output appears (power loss).")
@click.option("--resume", is_flag=True, help="Go on with what an interrupted conversion left.")
@click.option("--overwrite", is_flag=True, help="Replace an existing checkpoint at -o.")
@click.option("--dry-run", is_flag=True, help="Say what would be written and what can't be, and write nothing.")
@click.option("--partial", is_flag=True, help="A .pt2: write the model also where operators are missing, as stubs.")
@click.option(
    "--rules",
    multiple=True,
    type=PATH,
    metavar="FILE.py",
    help="Your own operator rules. Runs it.",
)
@click.option("--weights-only", is_flag=True, help="A .pt2: write the checkpoint only, not the model's source.")
@click.option("--verify", is_flag=True, help="A .pt2: then compare it with the recording beside it, as 'verify' does.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def convert(source: Path, out: Path, **given: Any) -> None:
    """Converts FILE, whatever PyTorch (or OneFlow) wrote, into a OneFlow checkpoint, or back."""
    from torch2flow import conversion
    from torch2flow.checkpoints.names.user_choice import read_rules
    from torch2flow.checkpoints.writing import Options
    from torch2flow.models.lowering.listing import load_rules

    for path in given["rules"]:
        load_rules(path)
    options = Options(
        key=given["key"],
        rename=read_rules(given["rename"]),
        include=given["include"],
        exclude=given["exclude"],
        dtype=given["dtype"],
        strict_dtype=given["strict_dtype"],
        complex=given["complex_"] or "",
        quantized=given["quantized"] or "",
        sparse=given["sparse"] or "",
        merge_adapter=os.path.abspath(given["merge_adapter"]) if given["merge_adapter"] else "",
    )
    flags = {
        name: given[name]
        for name in (
            "overwrite", "resume", "hashing", "sync", "dry_run", "partial", "weights_only", "plan", "ranks",
            "weights",
        )
    }  # fmt: skip
    flags["format"] = given["format_"] or ""
    if given["quiet"] or given["as_json"]:
        result = conversion.convert(source, out, options, **flags)
    else:
        from torch2flow.cli import display

        with display.conversion_progress() as progress:
            result = conversion.convert(source, out, options, **flags, progress=progress)
        display.show_result(result)
    if given["as_json"]:
        print_json(result.to_json())
    if given["verify"] and not given["dry_run"]:
        _verify_converted(source, out, silent=given["quiet"] or given["as_json"])


def _verify_converted(source: Path, out: Path, *, silent: bool) -> None:
    from torch2flow.cli import display
    from torch2flow.proof.parity import verify_folder

    with contextlib.nullcontext() if silent else display.steps() as say:
        found = verify_folder(out, source, say=say)
    if not silent:
        display.show_verification(found)
    if not found.faithful:
        raise DifferenceError(found.sentence, where=str(out), remedy=f"torch2flow verify {out} --report report.html")


@cli.command(epilog="\b\nExamples:\n  torch2flow check out\n  torch2flow check out --against model.pth")
@click.argument("out", type=PATH)
@click.option("--against", type=PATH, metavar="SOURCE", help="Compare every bit with the source.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(out: Path, against: Path | None, as_json: bool) -> None:
    """Verifies a converted checkpoint: against its manifest, or bit for bit against the source."""
    from torch2flow import checking

    result = checking.check(out, against)
    if as_json:
        print_json(
            {
                "path": str(out),
                "tensors": result.tensors,
                "compared": result.compared,
                "differences": result.differences,
            }
        )
    else:
        from torch2flow.cli import display

        display.show_check(result)
    if result.differences:
        sys.exit(DifferenceError.exit_code)


@cli.command(
    epilog="""\b
Examples:
  torch2flow diff model.pth out
  torch2flow diff run1.ckpt run2.ckpt --key-a ema --key-b ema
  torch2flow diff parallel.pth model.safetensors --rename '^module\\.=' --exclude num_batches
  torch2flow diff old.pth new.pth -q && echo the same"""
)
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--key-a", metavar="PATH", help="The part of A to compare, as a dotted path; '.' is the whole.")
@click.option("--key-b", metavar="PATH", help="The part of B.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="For A's names: as for convert. Repeatable.")
@click.option("--include", multiple=True, metavar="REGEX", help="Compare only names that match. Repeatable.")
@click.option("--exclude", multiple=True, metavar="REGEX", help="Leave out names that match. Repeatable.")
@click.option("--all", "every", is_flag=True, help="Show the tensors that are equal too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, of all tensors.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only: the exit code is the answer.")
def diff(a: Path, b: Path, every: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Compares the tensors of two checkpoints of whatever format: names, dtypes, shapes, and every bit.

    Exit code 0: nothing differs; 1: something does.
    """
    from torch2flow.checkpoints import diffing
    from torch2flow.checkpoints.names.user_choice import read_rules

    given["rename"] = read_rules(given["rename"])
    with contextlib.ExitStack() as stack:
        if not (quiet or as_json):
            from torch2flow.cli import display

            given["progress"] = lambda total: stack.enter_context(display.progress_bar("comparing", total))
        found = diffing.diff(a, b, **given)
    if as_json:
        print_json(found.to_json(rows=iter))
    elif not quiet:
        display.show_diff(found, every=every)
    if found.differs:
        sys.exit(DifferenceError.exit_code)


@cli.command(
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


@cli.command(
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


for command in (port, run_program, zoo, plan, launch, libai):
    cli.add_command(command)


@cli.command(epilog="\b\nExamples:\n  torch2flow operators\n  torch2flow operators aten.upsample")
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


@cli.command(epilog="\b\nExample:\n  torch2flow doctor")
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
