"""`convert`: from any checkpoint to a OneFlow checkpoint, or back; the one place where all steps meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch2flow.checkpoints.frameworks.adapters import merged
from torch2flow.checkpoints.frameworks.pretrained_config import architectures
from torch2flow.checkpoints.opening import open_checkpoint, open_container
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import Checkpoint, Container
from torch2flow.checkpoints.pytorch.tree import at_path, is_module
from torch2flow.checkpoints.writing import ConversionPlan, Options, make_plan
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.conversion.delivery import Delivery, Result, deliver
from torch2flow.conversion.formats import FORMATS, ONEFLOW_FLAT, SUFFIXES
from torch2flow.conversion.generated_model import GeneratedModel
from torch2flow.conversion.output_names import check_package, check_suffix
from torch2flow.conversion.weights_apart import check_values, with_weights
from torch2flow.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    # Half of what this module would import, and for weights alone there is no use for it.
    from torch2flow.checkpoints.sharding.cutting import Cut
    from torch2flow.checkpoints.sharding.sharding_plan import ShardingPlan
    from torch2flow.models.codegen.package import Program
    from torch2flow.models.codegen.writer import Source


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: Options | None = None,
    *,
    format: str = "",
    overwrite: bool = False,
    resume: bool = False,
    hashing: bool = False,
    sync: bool = False,
    dry_run: bool = False,
    partial: bool = False,
    weights_only: bool = False,
    plan: str | os.PathLike[str] | ShardingPlan | None = None,
    ranks: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    progress: Callable[[int], Progress] | None = None,
) -> Result:
    """Converts a checkpoint. Neither torch nor oneflow is imported, and nothing in the file is executed.

    Args:
        source: any file or folder that `open_checkpoint` reads.
        out: the output; it appears complete or not at all.
        options: which part, names and dtypes; see `Options`.
        format: `folder` (default), `file`, `snapshot`, `safetensors`, `pth` or `dcp`; "" goes by the suffix of `out`.
        overwrite: replace an existing checkpoint.
        resume: go on with what an interrupted run left.
        hashing: add a sha256 of every tensor and of the source, and verify the archive's checksums.
        sync: flush to disk before the output gets its name; guards against power loss, not against a kill.
        dry_run: plan everything, write nothing.
        partial: write a model's source also where operators are missing, with a stub for each.
        weights_only: write no source.
        plan: cut it for the ranks of a job, a folder for each: a TOML file, a preset's name, or a plan.
        ranks: how many; None if the plan says so.
        weights: the checkpoint or folder that has the weights of a `.pt2`, which may hold none.
        progress: called with the number of bytes, gives a function that is called with each that are written.

    Raises:
        FormatError: the source is broken or hostile.
        UnsupportedError: the target can't hold some tensors as they are.
        UsageError: an option names what is not there.
        OutputError: the output exists or can't be written.

    Example:
        >>> import torch2flow
        >>> result = torch2flow.convert("model.pth", "out")
        >>> result.written, len(result.plan.entries)
        (True, 9)
    """
    delivery = Delivery(overwrite, resume, hashing, sync, dry_run, progress)
    started = time.perf_counter()
    options = options or Options()
    source, out = Path(source), Path(os.path.abspath(out))
    if not format:
        check_suffix(out)
    format = format or SUFFIXES.get(out.suffix, "folder")
    if format not in FORMATS:
        raise UsageError(f"There is no format {format!r}.", remedy=f"choose one of {', '.join(FORMATS)}")
    if plan is not None and format != "folder":
        raise UsageError(f"--plan cuts a OneFlow folder, and no {format}.", remedy="leave out --format")
    if plan is None and ranks is not None:
        raise UsageError("--ranks says how many ranks a plan is for.", remedy="add --plan")
    container = open_container(source)
    if weights is not None:
        _check_names_stay(options)
        container = with_weights(container, source, Path(weights), cast=bool(options.dtype))
    check_values(container, source)
    with_model = format == "folder" and not weights_only
    program = _program(container, options) if with_model else None
    if program is not None:
        container = _in_order_of(program, container)
        options = replace(options, complex="real")  # as the model's source has its complex tensors
    checkpoint = Checkpoint(source, container, options.key if program is None else "state_dict")
    if options.merge_adapter:
        checkpoint = merged(checkpoint, open_checkpoint(options.merge_adapter))
    whole = make_plan(checkpoint, options, FORMATS[format].target if plan is None else ONEFLOW_FLAT)
    cut = None if plan is None else _cut(whole, plan, ranks)
    model_source = program.source() if program is not None else None
    if program is None and with_model and not _is_changed(options):
        model_source, notes = _pickled(checkpoint)
        whole.notes += notes
    if model_source is None and with_model and not options.merge_adapter and (names := architectures(source)):
        whole.notes.append(
            f"these are the weights of transformers' {names[0][:100]}; where that is installed, 'torch2flow capture "
            f"{source} -o model.pt2' records the model with them"
        )
    if model_source is not None and (note := check_package(out)):
        whole.notes.append(note)
    if model_source is not None and not partial and not dry_run:
        from torch2flow.models.codegen.package import check_complete

        check_complete(model_source, str(source))
    if not whole.entries and model_source is None and options.key is None:
        raise _nothing(whole, container, str(source))
    model = None if model_source is None else GeneratedModel(model_source, checkpoint, cut is not None)
    result = deliver(whole, out, format, delivery, model=model, cut=cut)
    return replace(result, seconds=time.perf_counter() - started, model_source=model_source)


def _nothing(plan: ConversionPlan, container: Container, source: str) -> UnsupportedError:
    maybe = "it holds a configuration or other plain data"
    if container.format == "torchscript":
        maybe = "the weights of a model after torch.jit.freeze are constants of its code"
    return UnsupportedError(
        "There is no tensor to convert.",
        where=source,
        maybe="; ".join(plan.notes)[:1000] or maybe,
        remedy="'torch2flow inspect FILE --tree' shows what it holds",
    )


def _check_names_stay(options: Options) -> None:
    if options.rename or options.include or options.exclude or options.key not in (None, "state_dict"):
        raise UsageError(
            "--weights gives a model all of its weights, under its own names.",
            remedy="leave out --key, --rename, --include and --exclude, or convert the checkpoint alone",
        )


def _is_changed(options: Options) -> bool:
    """Whether the tensors get other names or dtypes, or are left out: a model would not fit them."""
    return bool(options.rename or options.include or options.exclude or options.dtype)


def _program(container: Container, options: Options) -> Program | None:
    """The program to write as source; None where there is none, or where tensors get other names or are left out."""
    changed = options.rename or options.include or options.exclude
    if container.program is None or changed or options.key not in (None, "state_dict"):
        return None
    from torch2flow.models.codegen.package import open_program

    program = open_program(container)
    if program is not None and options.dtype:
        program.retype(options.dtype)
    return program


def _in_order_of(program: Program, container: Container) -> Container:
    """The same container, with its weights in the order in which PyTorch's `state_dict()` has them."""
    weights = container.root.get("state_dict", {})  # a model may have none
    order = [name for name in program.key_order() if name in weights]
    ordered = StatefulDict({name: weights[name] for name in [*order, *weights]})
    return replace(container, root={**container.root, "state_dict": ordered})


def _pickled(checkpoint: Checkpoint) -> tuple[Source | None, list[str]]:
    """The source of a checkpoint that is a pickled module, and what a person should know."""
    if not is_module(at_path(checkpoint.root, checkpoint.key)):
        return None, []
    from torch2flow.models.codegen.pickled import pickled_source

    return pickled_source(checkpoint)


def _cut(whole: ConversionPlan, sharding: str | os.PathLike[str] | ShardingPlan, ranks: int | None) -> Cut:
    from torch2flow.checkpoints.sharding.cutting import cut_plan
    from torch2flow.checkpoints.sharding.sharding_plan import read_sharding_plan

    return cut_plan(whole, read_sharding_plan(sharding), ranks)
