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
    from torch2flow.proof.capture.factories import build
    from torch2flow.proof.capture.inputs import choose_sizes, make_inputs, parse_input, parse_sizes
    from torch2flow.proof.capture.request import live_call
    from torch2flow.proof.capture.unexported import record_module

    say("building the model")
    entries = [parse_input(text) for text in job["inputs"]]
    made = make_inputs(entries, choose_sizes(entries, parse_sizes(job["sizes"])), job["seed"])
    torch.manual_seed(job["seed"])
    module = build(job["model"])
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"What {job['model']} gives is no torch.nn.Module.", remedy="name a function that returns one")
    if job["weights"]:
        _load_weights(torch, module, job["weights"])
    args, kwargs = live_call(torch, made)
    return record_module(
        torch, module, args, kwargs, Path(job["out"]), model=job["model"], train=job["train"],
        gradients=job["gradients"], layers=job["layers"], seed=job["seed"], say=say,
    )  # fmt: skip


def _load_weights(torch: Any, module: Any, path: str) -> None:
    try:
        module.load_state_dict(torch.load(path, map_location="cpu"))
    except RuntimeError as error:
        raise UsageError(
            f"The weights do not fit the PyTorch model: {' '.join(str(error).split())[:500]}",
            maybe="the factory builds another model than the one that was converted",
        ) from None
