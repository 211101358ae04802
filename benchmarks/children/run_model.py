"""Runs a model in OneFlow: `run_model.py FOLDER` a converted one, `run_model.py NAME` flowvision's hand-written twin.

Prints the median seconds of a forward pass and of a training step: `{"forward": 0.08, "step": 0.31}`.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from torch2flow.runtime import import_flowvision, import_oneflow

flow = import_oneflow()
SHAPE, ROUNDS = (4, 3, 128, 128), 7


def timed(work: Callable[[], Any]) -> float:
    """Median seconds of some runs, the first left out; `numpy()` waits for OneFlow's own thread."""
    seconds = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])


def main(which: str) -> None:
    """Runs and prints."""
    warnings.simplefilter("ignore")
    if Path(which).is_dir():
        from torch2flow.proof.parity.compared_models import load_package

        model = load_package(Path(which)).load_model()
    else:
        model = getattr(import_flowvision().models, which)()
    numbers = flow.randn(*SHAPE)
    optimizer = flow.optim.SGD(list(model.parameters()), lr=1e-6)

    def forward() -> None:
        with flow.no_grad():
            model(numbers).numpy()

    def step() -> None:
        optimizer.zero_grad()
        loss = model(numbers).sum()
        loss.backward()
        optimizer.step()
        loss.numpy()

    model.eval()
    seconds = {"forward": timed(forward)}
    model.train()
    seconds["step"] = timed(step)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1])
