"""Records what a module computes without exporting it: for a comparison with any OneFlow model, of any PyTorch."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch2flow._version import __version__
from torch2flow.proof.capture.axes import Call
from torch2flow.proof.capture.factories import raised
from torch2flow.proof.capture.module_state import untouched
from torch2flow.proof.capture.more_runs import more_runs, other_mode
from torch2flow.proof.capture.recording import Recording
from torch2flow.proof.capture.references import ReferenceRecorder, Say, input_leaves
from torch2flow.proof.capture.runtime import quiet

_NO_OTHER_SIZE = "the model takes none of the other sizes that were tried: named axes are not compared"


def record_module(
    torch: Any,
    module: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    out: Path,
    *,
    model: str = "",
    train: bool = False,
    gradients: bool = True,
    layers: bool = True,
    seed: int = 0,
    free: Mapping[str, int] | None = None,
    resized: Callable[[dict[str, int]], Call] | None = None,
    say: Say = lambda text: None,
) -> list[str]:
    """Runs a module and writes its recording; the module stays as it is.

    Args:
        torch: the module `torch`, 1.13 or newer.
        module: what is run.
        args: positional inputs.
        kwargs: keyword inputs.
        out: the `.safetensors` to write.
        model: what the recording says it is of.
        train: run in train mode; the default is eval mode.
        gradients: record gradients and steps of optimizers, if the module has any.
        layers: record every submodule.
        seed: of the random numbers that the module or the loss draws.
        free: how long each named axis of the inputs is.
        resized: makes inputs in which they have other lengths. Given, outputs of other sizes, of large inputs and of a
            second call are recorded too.
        say: is told what is being done.

    Returns:
        What a user should know.

    Raises:
        UsageError: the module does not run on these inputs.
        OSError: the recording can't be written.
    """
    call = (tuple(args), dict(kwargs))
    notes: list[str] = []
    with quiet(), untouched(torch, module, parameters=False), Recording(out.parent) as recording:
        module.train(train)
        reference = ReferenceRecorder(torch, module, recording, seed, say)
        reference.inputs("input", *call)
        try:
            reference.forward(*call, layers=layers)
        except Exception as error:
            raise raised("The PyTorch model does not run on these inputs", error, model) from None
        notes += filter(None, (reference.random_calls(*call, train=mode) for mode in dict.fromkeys((train, True))))
        runs: dict[str, Call] = {}
        if reference.stays_random(*call, train=train):
            reference.draws(*call)
        elif resized is not None:
            runs, second = more_runs(reference, call, dict(free or {}), resized)
            notes += [_NO_OTHER_SIZE] if free and not second else []
        if gradients:
            notes += filter(None, [reference.training(*call), "" if train else other_mode(reference, runs)])
        note = reference.everything_in_float64(call, runs, layers=layers)
        about = {
            "torch2flow": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "model": model or type(module).__name__,
            "mode": "train" if train else "eval",
            "seed": str(seed),
            "inputs": json.dumps([name for name, _ in input_leaves(*call)]),
        }
        recording.save(out, {**about, **reference.metadata})
    return [*notes, *([note] if note else [])]
