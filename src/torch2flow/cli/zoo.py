"""`torch2flow zoo list | convert | compare | predict`: the commands for models that exist on both sides."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from torch2flow.cli.command_group import OrderedGroup
from torch2flow.cli.options import PATH
from torch2flow.cli.printing import print_json
from torch2flow.errors import DifferenceError, UsageError

WEIGHTS_HELP = "A checkpoint, or the name of weights of torchvision's: DEFAULT, IMAGENET1K_V1, ..."


@click.group(
    cls=OrderedGroup,
    epilog="""\b
Examples:
  torch2flow zoo list resnet
  torch2flow zoo convert alexnet -o out
  torch2flow zoo convert vit_b_16 -o out --weights finetuned.pth
  torch2flow zoo predict resnet50 cat.jpg dog.jpg""",
)
def zoo() -> None:
    """Models of torchvision and timm that flowvision has too: their weights go straight into flowvision's model."""


@zoo.command("list", epilog="\b\nExamples:\n  torch2flow zoo list\n  torch2flow zoo list vit --match 'by rule'")
@click.argument("pattern", default="")
@click.option("--match", type=click.Choice(["keys equal", "by rule", "no twin"]), help="Only those that match so.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(pattern: str, match: str | None, as_json: bool) -> None:
    """Lists the models, or those whose name or twin holds PATTERN, with what was measured of each."""
    from torch2flow.zoo.listing import rows

    found = rows(pattern, match or "")
    if as_json:
        print_json([row.to_json() for row in found])
    else:
        from torch2flow.cli import display

        display.show_zoo(found)
    if not found:
        raise UsageError(f"No model's name holds {pattern!r}.", remedy="torch2flow zoo list shows them all")


@zoo.command(
    epilog="""\b
Examples:
  torch2flow zoo convert alexnet -o out                        torchvision's best weights, from its cache or fetched
  torch2flow zoo convert vit_b_16 -o out --weights IMAGENET1K_SWAG_E2E_V1
  torch2flow zoo convert resnet50 -o out --weights run.ckpt --key state_dict
  torch2flow zoo convert timm/deit_tiny_patch16_224 -o out --weights model.safetensors
  torch2flow zoo convert resnet50 -o resnet50.pth --reverse --weights out"""
)
@click.argument("name")
@click.option("-o", "--output", "out", required=True, type=PATH, help="The output folder.")
@click.option("--weights", default="DEFAULT", show_default=True, metavar="FILE|NAME", help=WEIGHTS_HELP)
@click.option("--key", metavar="PATH", help="The part of FILE to take, as a dotted path.")
@click.option(
    "--argument", "arguments", multiple=True, metavar="NAME=VALUE", help="For flowvision's model. Repeatable."
)
@click.option("--reverse", is_flag=True, help="From flowvision's weights to a .pth or .safetensors for PyTorch.")
@click.option("--check/--no-check", default=True, help="Build flowvision's model, if it imports, to see that all fits.")
@click.option("--hash", "hashing", is_flag=True, help="Add a sha256 per tensor and of the source.")
@click.option("--overwrite", is_flag=True, help="Replace an existing checkpoint at -o.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def convert(name: str, out: Path, weights: str, reverse: bool, as_json: bool, quiet: bool, **given: Any) -> None:
    """Puts the weights of a PyTorch model into its flowvision twin: OUT has load_model() and is read by flow.load.

    OUT also has the preprocessing of torchvision's own weights and the names of the classes.
    """
    from torch2flow.zoo import converting

    with contextlib.ExitStack() as stack:
        downloading = None
        if not (quiet or as_json):
            from torch2flow.cli import display

            given["progress"] = stack.enter_context(display.conversion_progress())
            downloading = _bar(stack, "downloading")
        if reverse:
            if given.pop("arguments"):
                raise UsageError("--argument is for building flowvision's model, which --reverse does not.")
            given.pop("check")
            result, twin = converting.convert_back(name, out, weights, **given), None
        else:
            result, prepared = converting.convert(name, out, weights, downloading=downloading, **given)
            twin = prepared.twin
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        display.show_result(result)
        if twin is not None:
            display.show_twin(twin, result)


@zoo.command(
    epilog="""\b
Examples:
  torch2flow zoo predict resnet50 cat.jpg
  torch2flow zoo predict alexnet *.png --weights finetuned.pth --json"""
)
@click.argument("name")
@click.argument("images", nargs=-1, required=True, type=PATH, metavar="IMAGE...")
@click.option("--weights", default="DEFAULT", show_default=True, metavar="FILE|NAME", help=WEIGHTS_HELP)
@click.option("--key", metavar="PATH", help="The part of FILE to take, as a dotted path.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def predict(name: str, images: tuple[Path, ...], weights: str, key: str | None, as_json: bool) -> None:
    """Shows what torchvision's model and flowvision's with the same weights see in pictures, side by side.

    Exit code 0: both name the same five classes for every picture.
    """
    from torch2flow.zoo import predicting

    gc.enable()  # here live objects of other libraries come and go
    with contextlib.ExitStack() as stack:
        found = predicting.predict(name, images, weights, key=key, downloading=_bar(stack, "downloading"))
    if as_json:
        print_json([each.to_json() for each in found])
    else:
        from torch2flow.cli import display

        display.show_predictions(found)
    if not all(each.agree for each in found):
        sys.exit(DifferenceError.exit_code)


@zoo.command(epilog="\b\nExample:\n  torch2flow zoo compare alexnet")
@click.argument("name")
@click.option("--weights", default="DEFAULT", show_default=True, metavar="FILE|NAME", help=WEIGHTS_HELP)
@click.option("--flowvision", type=PATH, metavar="FOLDER", help="Default: flowvision's cache.")
@click.option("--all", "every", is_flag=True, help="Show the tensors that are equal too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, of all tensors.")
def compare(name: str, weights: str, flowvision: Path | None, every: bool, as_json: bool) -> None:
    """Compares flowvision's own pretrained weights with torchvision's, tensor by tensor.

    Exit code 0: nothing differs; 1: something does.
    """
    from torch2flow.zoo import comparing

    with contextlib.ExitStack() as stack:
        found = comparing.compare(name, weights, flowvision, downloading=_bar(stack, "downloading"))
    if as_json:
        print_json(found.to_json())
    else:
        from torch2flow.cli import display

        display.show_diff(found, every=every)
    if found.differs:
        sys.exit(DifferenceError.exit_code)


def _bar(stack: contextlib.ExitStack, label: str) -> Callable[[int], Any]:
    from torch2flow.cli import display

    return lambda total: stack.enter_context(display.progress_bar(label, total))
