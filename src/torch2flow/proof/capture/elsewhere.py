"""The part of `torch2flow verify --against` that runs in another interpreter, where PyTorch is.

How it is asked and answers: `proof/child_process.py`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from torch2flow.errors import InstallationError, OutputError, UsageError
from torch2flow.proof.child_process import Emit, answer

CONSTANTS = ".constants"
"""Added to the name of a file of weights: a file of the tensors that are no part of the state dict."""


def main() -> None:
    """Runs one job."""
    answer(_run)


def _run(job: dict[str, Any], emit: Emit) -> None:
    try:
        emit({"done": _record(job, lambda text: emit({"say": text}))})
    except OSError as error:
        raise OutputError(f"The recording can't be written: {error.strerror or error}.") from None


def _record(job: dict[str, Any], say: Any) -> list[str]:
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        raise InstallationError(
            f"PyTorch does not import there: {type(error).__name__}: {error}",
            where=sys.executable,
            remedy="give another --python: one that has torch and what the model needs",
        ) from None
    from torch2flow.proof.capture.factories import build_with_inputs
    from torch2flow.proof.capture.inputs import choose_sizes, make_inputs, parse_input, parse_sizes
    from torch2flow.proof.capture.request import live_call
    from torch2flow.proof.capture.unexported import record_module

    say("building the model")
    entries = [parse_input(text) for text in job["inputs"]]
    lengths, seed = choose_sizes(entries, parse_sizes(job["sizes"])), job["seed"]
    made = make_inputs(entries, lengths, seed)
    sys.path[:0] = job["path"]
    torch.manual_seed(seed)
    module, call = build_with_inputs(torch.nn.Module, job["model"], job["kwargs"])
    if job["weights"]:
        _load_weights(torch, module, job["weights"])
    if job["state"]:
        state = module.state_dict()
        torch.save(state, job["state"])
        found = tensors_without_gradients(torch.Tensor, module).items()
        constants = {name: each.clone() for name, each in found if name not in state and each.dtype is torch.float32}
        if constants:
            torch.save(constants, f"{job['state']}{CONSTANTS}")
    free: dict[str, int] = {}
    if entries or call is None:
        call = live_call(torch, made)
        # Values of a file can't be drawn anew.
        free = {} if any(entry.file is not None for entry in entries) else lengths
    return record_module(
        torch, module, *call, Path(job["out"]), model=job["model"], train=job["train"], gradients=job["gradients"],
        layers=job["layers"], seed=seed, free=free, say=say,
        resized=lambda sizes: live_call(torch, make_inputs(entries, {**lengths, **sizes}, seed + 1)),
    )  # fmt: skip


def _load_weights(torch: Any, module: Any, path: str) -> None:
    try:
        module.load_state_dict(torch.load(path, map_location="cpu"))
    except RuntimeError as error:
        raise UsageError(
            f"The weights do not fit the PyTorch model: {' '.join(str(error).split())[:500]}",
            maybe="the factory builds another model than the one that was converted",
        ) from None


def tensors_without_gradients(tensor: Any, module: Any) -> dict[str, Any]:
    """The buffers of a module, and the tensors that are plain attributes in it, by name. `tensor` is their class."""
    found = dict(module.named_buffers())
    for path, each in module.named_modules():
        for name, value in vars(each).items():
            if isinstance(value, tensor) and not value.requires_grad:
                found[f"{path}.{name}" if path else name] = value
    return found
