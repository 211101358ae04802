"""Loads a checkpoint into a live OneFlow model: `load_live.py torch2flow|oneflow SOURCE.pth`

Prints the seconds of the loading alone, and by how much its peak of memory exceeds that of the process with
the model in it: `{"seconds": 0.4, "above_model": 12000000}`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()


class Weight(flow.nn.Module):  # type: ignore[misc]
    """A module with one parameter, made of zeros, so that making the model takes no time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = flow.nn.Parameter(flow.zeros(shape))


def model_for(source: str) -> Any:
    """The model whose parameters the checkpoint holds, all its memory in use."""
    model = flow.nn.Sequential(*(Weight(tensor.shape) for tensor in torch2flow.open_checkpoint(source).values()))
    for parameter in model.parameters():
        parameter.detach().numpy()[...] = 0
    return model


def status(field: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def main(way: str, source: str) -> None:
    """Loads and prints."""
    model = model_for(source)
    if way == "oneflow":
        import torch  # noqa: F401 - flow.load imports it; that is not loading
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak (proc(5))
    before, started = status("VmRSS:"), time.perf_counter()
    if way == "torch2flow":
        torch2flow.load_state_dict(model, source)
    else:
        model.load_state_dict(flow.load(source))
        last = list(model.parameters())[-1]
        last.numpy()  # OneFlow works on a thread of its own: this waits for it
    seconds = time.perf_counter() - started
    above = status("VmHWM:") - before
    parameters = list(model.parameters())
    if any(parameters[n].flatten()[-1].item() != n + 0.5 for n in range(0, len(parameters), 50)):
        raise SystemExit(f"{way} did not load the values")
    print(json.dumps({"seconds": seconds, "above_model": above}))


if __name__ == "__main__":
    main(*sys.argv[1:])
