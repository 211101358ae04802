"""Loads a checkpoint into a global OneFlow model: `load_global.py torch2flow|oneflow rows|columns|both DTYPE SOURCE`

All ranks begin together; prints the seconds until the last has done, and by how much the private memory of a rank rose
at most above its shard: `{"seconds": 1.1, "above_shard": 40000000, "above_shard_rank_0": 30000000}`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch2flow
from torch2flow.runtime import import_oneflow

flow = import_oneflow()
EVERYONE = list(range(flow.env.get_world_size()))
LINE = flow.placement("cpu", EVERYONE)


def private() -> int:
    """Bytes of this process that no file holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError("RssAnon")


@contextlib.contextmanager
def peak() -> Iterator[list[int]]:
    """The largest of `private()` while the block runs; the kernel keeps no peak of that."""
    found, done = [private()], threading.Event()

    def watch() -> None:
        while not done.wait(0.003):
            found[0] = max(found[0], private())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield found
    found[0] = max(found[0], private())
    done.set()
    watcher.join()


def everyones(value: float) -> list[float]:
    """A number of each rank; also a barrier."""
    mine = flow.tensor([value], dtype=flow.float64).to_global(placement=LINE, sbp=flow.sbp.split(0))
    numbers: list[float] = mine.to_global(sbp=flow.sbp.broadcast).to_local().numpy().tolist()
    return numbers


class Weight(flow.nn.Module):  # type: ignore[misc]
    """A module with one global parameter, all its memory in use."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, placement: Any, sbp: Any) -> None:
        super().__init__()
        empty = flow.empty(shape, dtype=dtype, placement=placement, sbp=sbp)
        empty.to_local().zero_()
        self.weight = flow.nn.Parameter(empty)


def main(way: str, split: str, dtype: str, source: str) -> None:
    """Loads and prints."""
    rows, columns = flow.sbp.split(0), flow.sbp.split(1)
    sbp = {"rows": [rows], "columns": [columns], "both": [rows, columns]}[split]
    ranks = [EVERYONE[:2], EVERYONE[2:]] if split == "both" else EVERYONE
    placement, kind = flow.placement("cpu", ranks), getattr(flow, dtype)
    shapes = [tensor.shape for tensor in torch2flow.open_checkpoint(source).values()]
    model = flow.nn.Sequential(*(Weight(shape, kind, placement, sbp) for shape in shapes))
    flow._oneflow_internal.eager.Sync()
    everyones(0)
    before, started = private(), time.perf_counter()
    with peak() as highest:
        if way == "torch2flow":
            torch2flow.load_state_dict(model, source)
        else:
            model.load_state_dict(flow.load(source, global_src_rank=0))
        flow._oneflow_internal.eager.Sync()
    seconds = max(everyones(time.perf_counter() - started))
    above = everyones(highest[0] - before)
    for number, part in enumerate(model):
        own = part.weight.to_local().to(flow.float32)
        if own[0, 0].item() != number + 0.5 or own[-1, -1].item() != number + 0.5:
            raise SystemExit(f"{way} did not load the values")
    if flow.env.get_rank() == 0:
        print(json.dumps({"seconds": seconds, "above_shard": max(above), "above_shard_rank_0": above[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
