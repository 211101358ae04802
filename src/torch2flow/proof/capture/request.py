"""A capture as the command line asks for it: the model by its name, the inputs as they are written."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.frameworks.pretrained_config import architectures
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.errors import UsageError
from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.capture_job import Captured
from torch2flow.proof.capture.decode_step import SIZES, SOURCE, as_decode_step, axes_of, has_encoder, sample_call
from torch2flow.proof.capture.factories import build, parse_factory, unwrapped
from torch2flow.proof.capture.given_weights import GivenWeights
from torch2flow.proof.capture.inputs import Array, Inputs, choose_sizes, make_inputs, parse_input, parse_sizes
from torch2flow.proof.capture.live import capture, check_request
from torch2flow.proof.capture.pretrained_folder import build_pretrained, build_without_weights, default_inputs
from torch2flow.proof.capture.references import Say
from torch2flow.proof.capture.runtime import import_torch, quiet
from torch2flow.proof.capture.torchscript_file import is_torchscript, module_of_script
from torch2flow.proof.capture.without_weights import CheckpointWeights, parameters_without_memory


def capture_named(
    model: str,
    inputs: Sequence[str],
    out: Path,
    *,
    sizes: Sequence[str] = (),
    seed: int = 0,
    weights: GivenWeights | None = None,
    without_weights: bool = False,
    cache: bool = False,
    part: str = "",
    say: Say | None = None,
    **options: Any,
) -> Captured:
    """Builds a model and captures it; `options` are those of `capture`.

    Args:
        model: `package.module:factory`, a file of TorchScript, or a folder of transformers'.
        inputs: as `--input` takes them; a folder of transformers' has its own where there are none.
        out: the `.pt2`.
        sizes: of named axes, `AXIS=NUMBER`.
        seed: of weights and inputs that are drawn.
        weights: a checkpoint that is loaded into the model.
        without_weights: the model never has all its weights in memory, and the `.pt2` has none.
        cache: a folder of transformers': the step that takes keys and values, and gives them back.
        part: the path of the submodule that is captured in place of the model.
        say: is called with what is being done.

    Raises:
        UsageError: an input, a size or the model is not written as one, or the model's code raises.
        InstallationError: PyTorch is missing or too old.
        UnsupportedError: PyTorch can't export the model.
        OutputError: the output exists or can't be written.
    """
    path = Path(model)
    is_script, is_folder = is_torchscript(path), bool(architectures(path))
    if not (is_script or is_folder):
        _check_factory(model)
    if cache and (not is_folder or inputs):
        raise UsageError(
            "--cache is for a decoder in a folder of transformers', and makes its own inputs.",
            where=model,
            remedy="leave out --input" if is_folder else "leave out --cache, or name the folder",
        )
    if part and (cache or without_weights or is_script):
        raise UsageError(
            "--part takes a module out of a model that is built with its weights.",
            where=model,
            remedy="leave out --cache and --without-weights" if not is_script else "name the code, and not the file",
        )
    if without_weights:
        _check_without_weights(weights, options, is_script=is_script, is_folder=is_folder)
    entries = [parse_input(text) for text in inputs]
    lengths = choose_sizes(entries, {} if cache else parse_sizes(sizes))
    check_request(
        out, options.get("reference", "all"), options.get("gradients", False), options.get("overwrite", False)
    )
    torch = import_torch()
    if say is not None:
        say("building the model")
    notes = []
    with quiet():
        torch.manual_seed(seed)
        apart: CheckpointWeights | None = None
        if without_weights and is_folder:
            module, apart = build_without_weights(torch, path)
        elif without_weights and weights is not None:
            with parameters_without_memory(torch):
                module = _module(torch, build(model), model)
            apart = CheckpointWeights(torch, module, open_checkpoint(weights.path, weights.key))
        else:
            module = None if is_script else build_pretrained(path) if is_folder else build(model)
        if apart is not None:
            notes += apart.notes
        if part:
            notes += weights.load_into(torch, _module(torch, module, model)) if weights is not None else []
            module = submodule(torch, module, part, model)
        if cache:
            as_decode_step(module, path)
        elif is_folder and not inputs:
            entries = [parse_input(text) for text in default_inputs(module, path)]
            lengths = choose_sizes(entries, parse_sizes(sizes))
            notes.append(f"inputs: {' '.join(entry.text for entry in entries)}")
        made = make_inputs(entries, lengths, seed)
        if is_script:
            module = module_of_script(torch, path, live_call(torch, made))
            notes.append("TorchScript has one mode here, eval: train() changes nothing in the model")
        if weights is not None and apart is None and not part:
            notes += weights.load_into(torch, _module(torch, module, model))

    def again(other: dict[str, int]) -> Call:
        if cache:
            return sample_call(torch, module, other, seed + 1, path), {}
        return live_call(torch, make_inputs(entries, other, seed + 1))

    # Values of a file can't be drawn anew: `capture` resizes them.
    drawn = not any(entry.file is not None and entry.axes for entry in entries)
    args, kwargs = live_call(torch, made)
    dynamic: dict[int | str, dict[int, str]] = dict(made.dynamic)
    if cache:
        with contextlib.nullcontext() if apart is None else apart.given(), quiet():
            lengths = {**SIZES, **(SOURCE if has_encoder(module) else {}), **parse_sizes(sizes)}
            args = sample_call(torch, module, lengths, seed, path)
        dynamic = axes_of(module)
    captured = capture(
        module,
        args,
        kwargs,
        out=out,
        dynamic=dynamic,
        seed=seed,
        model=model,
        second=again if drawn else None,
        say=say,
        weights=apart,
        **options,
    )
    captured.notes = notes + captured.notes
    return captured


def _check_without_weights(
    weights: GivenWeights | None, options: dict[str, Any], *, is_script: bool, is_folder: bool
) -> None:
    """Refuses what can't be done with a model that never has all its weights.

    Raises:
        UsageError: gradients, another name for a weight, or weights that nobody named.
    """
    if is_script or not (is_folder or weights is not None):
        raise UsageError(
            "--without-weights reads them a few layers at a time, and nothing says where they lie.",
            remedy="capture a folder of transformers', or add --weights FILE",
        )
    if options.get("gradients"):
        raise UsageError(
            "--without-weights records no gradients: a step of training needs all weights at once.",
            remedy="leave out --gradients",
        )
    if weights is not None and (weights.rename or is_folder):
        raise UsageError(
            "--without-weights takes the weights under the names that they have, and a folder's own.",
            remedy="leave out --weights" if is_folder else "leave out --rename",
        )


def _check_factory(model: str) -> None:
    """Refuses what names no factory; where it is a file or a folder, what it is good for.

    Raises:
        UsageError: it is no `package.module:factory`.
    """
    try:
        parse_factory(model)
    except UsageError:
        if not Path(model).exists():
            raise
        raise UsageError(
            "A checkpoint has no code to run, and capturing a model runs it.",
            where=model,
            remedy=f"name the code too: torch2flow capture nets.py:Net --weights {model} -o net.pt2",
        ) from None


def _module(torch: Any, found: Any, model: str) -> Any:
    """What weights are loaded into: the author's module, inside of what wraps it.

    Raises:
        UsageError: it is no module.
    """
    if not isinstance(found, torch.nn.Module):
        raise UsageError(f"What {model} gives is no torch.nn.Module, and takes no weights.", where=model)
    return unwrapped(found)


def submodule(torch: Any, found: Any, part: str, model: str) -> Any:
    """A part of a model, by its path.

    Raises:
        UsageError: the model has no module of this path.
    """
    modules = dict(_module(torch, found, model).named_modules())
    if part not in modules:
        near = get_close_matches(part, modules, 3)
        raise UsageError(
            f"The model has no module {part[:200]!r}.",
            where=model,
            remedy=f"one of these may be it: {', '.join(near)}"
            if near
            else "name one that model.named_modules() lists",
        )
    return modules[part]


def live_call(torch: Any, inputs: Inputs) -> Call:
    """The inputs with PyTorch's tensors in place of arrays."""

    def live(value: Any) -> Any:
        if not isinstance(value, Array):
            return value
        values, dtype = value.values, getattr(torch, value.dtype.name)
        if values.dtype.kind == "V":  # ml_dtypes: bfloat16 and float8, which float32 holds exactly
            values = values.astype("f4")
        return torch.from_numpy(values.copy(order="C")).to(dtype)

    return tuple(live(value) for value in inputs.args), {key: live(value) for key, value in inputs.kwargs.items()}
