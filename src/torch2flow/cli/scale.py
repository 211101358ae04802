"""`torch2flow plan | launch | libai`: what a distributed job would hold, the job itself, and LiBai's models."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from torch2flow.cli.options import PATH, PORT, POSITIVE, RANKS
from torch2flow.cli.printing import print_json


@click.command(
    epilog="""\b
Examples:
  torch2flow plan model.safetensors llama --ranks 8
  torch2flow plan model.safetensors.index.json plan.toml --ranks 1024
  torch2flow plan model.pth plan.toml --ranks 64 --speed 0.3 --json"""
)
@click.argument("source", metavar="FILE", type=PATH)
@click.argument("plan", metavar="PLAN", type=str)
@click.option("--ranks", type=RANKS, help="How many ranks there are. Default: as the plan's mesh says.")
@click.option("--key", metavar="PATH", help="The part of FILE, as a dotted path.")
@click.option("--speed", type=POSITIVE, default=1.0, show_default=True, metavar="GB/S", help="What one rank reads.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every tensor.")
def plan(source: Path, plan: str, ranks: int | None, key: str | None, speed: float, as_json: bool) -> None:
    """Says what each rank would hold and read of FILE by PLAN. Nothing is started, and no tensor is read.

    PLAN is a TOML file (docs/scale.md), or a preset: llama, mixtral, gpt2, neox, opt, bert, t5, timm, torch for the
    usual names; data, zero, pipeline for any.
    """
    from torch2flow.checkpoints.opening import open_checkpoint
    from torch2flow.checkpoints.sharding import read_sharding_plan
    from torch2flow.scale.estimate import estimate, sized

    checkpoint = open_checkpoint(source, key)
    found = estimate(read_sharding_plan(plan), sized(checkpoint), ranks, speed=speed * 1e9)
    if as_json:
        print_json(found.to_json())
    else:
        from torch2flow.cli import display

        display.show_estimate(found, checkpoint, speed)


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  torch2flow launch --nproc-per-node 4 train.py --lr 0.1
  torch2flow launch --nproc-per-node 8 --nnodes 2 --node-rank 0 --master-addr 10.0.0.1 train.py
  torch2flow launch --nproc-per-node 2 -m package.train""",
)
@click.option("--nproc-per-node", type=click.IntRange(1, 1024), default=1, show_default=True, help="Ranks here.")
@click.option("--nnodes", type=RANKS, default=1, show_default=True, help="Machines.")
@click.option("--node-rank", type=click.IntRange(0), default=0, show_default=True, help="Which of them this is.")
@click.option("--master-addr", default="127.0.0.1", show_default=True, help="Where rank 0 is.")
@click.option("--master-port", type=PORT, help="Its port. Default: a free one; with several machines 29500.")
@click.option("-m", "--module", "as_module", is_flag=True, help="SCRIPT is a module, as for python -m.")
@click.option("--logs", type=PATH, metavar="FOLDER", help="Also write what each rank says there.")
@click.option("--timeout", type=POSITIVE, default=60, show_default=True, metavar="S", help="For rank 0 to be ready.")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def launch(script: str, arguments: tuple[str, ...], **given: Any) -> None:
    """Runs SCRIPT as a job of OneFlow's, a process for each rank: all start in order, and end together.

    What a rank prints is shown with its number. When one fails, the others are ended within seconds, and its error is
    shown last; the exit code is that rank's.
    """
    from torch2flow.scale.launching import Job

    sys.exit(Job(script, arguments, **given).run())


@click.command(
    epilog="""\b
Examples:
  torch2flow libai gpt2 gpt2-medium -o out
  torch2flow libai llama Llama-2-7b-hf -o out --vocabulary 32256
  torch2flow libai bert bert.pth -o out --heads 12
  torch2flow libai gpt2 out -o model.safetensors --reverse --heads 16 --vocabulary 50257"""
)
@click.argument("family")
@click.argument("source", metavar="FILE", type=PATH)
@click.option("-o", "--output", "out", required=True, type=PATH, help="The output folder or file.")
@click.option("--heads", type=click.IntRange(1), help="Attention heads. Default: as the config.json beside FILE says.")
@click.option("--vocabulary", type=click.IntRange(1), help="Rows of the vocabulary on the other side, if not as many.")
@click.option("--reverse", is_flag=True, help="From LiBai's weights to those of transformers.")
@click.option("--key", metavar="PATH", help="The part of FILE, as a dotted path.")
@click.option("--overwrite", is_flag=True, help="Replace an existing checkpoint at -o.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def libai(family: str, source: Path, out: Path, as_json: bool, quiet: bool, **given: Any) -> None:
    """Puts weights of PyTorch's transformers into the names and layouts of LiBai's models, or back.

    FAMILY is one of gpt2, bert, roberta, llama, t5, mt5, vit, swin, swinv2; FILE is whatever holds the weights, such as
    a folder of Hugging Face's. OUT is read by flow.load, and by torch2flow.load_state_dict, where the model is global.
    """
    from torch2flow.scale.libai.converting import convert_libai

    with contextlib.ExitStack() as stack:
        if not (quiet or as_json):
            from torch2flow.cli import display

            given["progress"] = stack.enter_context(display.conversion_progress())
        result = convert_libai(family, source, out, **given)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        display.show_result(result)
