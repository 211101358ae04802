"""A capture as the command line asks for it: the model by its name, the inputs as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.factories import build, parse_factory
from torch2flow.proof.capture.inputs import Array, Inputs, choose_sizes, make_inputs, parse_input, parse_sizes
from torch2flow.proof.capture.live import Captured, capture, check_request
from torch2flow.proof.capture.references import Say
from torch2flow.proof.capture.runtime import import_torch, quiet


def capture_named(
    model: str,
    inputs: Sequence[str],
    out: Path,
    *,
    sizes: Sequence[str] = (),
    seed: int = 0,
    say: Say | None = None,
    **options: Any,
) -> Captured:
    """Builds `package.module:factory` and captures it; `options` are those of `capture`.

    Raises:
        UsageError: an input, a size or the model is not written as one, or the model's code raises.
        InstallationError: PyTorch is missing or too old.
        UnsupportedError: PyTorch can't export the model.
        OutputError: the output exists or can't be written.
    """
    parse_factory(model)
    entries = [parse_input(text) for text in inputs]
    lengths = choose_sizes(entries, parse_sizes(sizes))
    check_request(
        out, options.get("reference", "all"), options.get("gradients", False), options.get("overwrite", False)
    )
    torch = import_torch()
    if say is not None:
        say("building the model")
    made = make_inputs(entries, lengths, seed)
    with quiet():
        torch.manual_seed(seed)
        module = build(model)

    def again(other: dict[str, int]) -> Call:
        return live_call(torch, make_inputs(entries, other, seed + 1))

    # Values of a file can't be drawn anew: `capture` resizes them.
    drawn = not any(entry.file is not None and entry.axes for entry in entries)
    args, kwargs = live_call(torch, made)
    return capture(
        module,
        args,
        kwargs,
        out=out,
        dynamic=dict(made.dynamic),
        seed=seed,
        model=model,
        second=again if drawn else None,
        say=say,
        **options,
    )


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
