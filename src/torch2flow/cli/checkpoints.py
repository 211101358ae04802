"""`torch2flow inspect | convert | check | diff`: the commands for checkpoints, and for what they hold."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from torch2flow.cli.options import PATH, RANKS
from torch2flow.cli.printing import print_json
from torch2flow.errors import DifferenceError


@click.command(
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


@click.command(
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


@click.command(epilog="\b\nExamples:\n  torch2flow check out\n  torch2flow check out --against model.pth")
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


@click.command(
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
