"""Global tensors: real jobs of two and four ranks, each of which reads its own part of a checkpoint."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch2flow.conversion import convert
from torch2flow.loading.sharding import box, place_of

JOB = """
import json, os, sys, traceback

def end(*error):  # a rank that only raises leaves the others waiting, and itself for them
    traceback.print_exception(*error)
    os._exit(1)

sys.excepthook = end
import numpy as np
from torch2flow.oneflow.runtime import load_oneflow
flow = load_oneflow()
import torch2flow

S, B = flow.sbp.split, flow.sbp.broadcast

def module(shape, placement, sbp, dtype):
    part = flow.nn.Module()
    empty = flow.empty(*shape, dtype=dtype, placement=placement, sbp=sbp)
    part.register_parameter("weight", flow.nn.Parameter(empty))
    return part

def check(source, shape, placement, sbp, dtype):
    model = module(shape, placement, sbp, dtype)
    torch2flow.load_state_dict(model, source)
    own = model.weight.to_local()
    whole = torch2flow.load(source)["weight"].to(flow.float32)
    # OneFlow's own sharding of the same tensor, in float32, which holds bfloat16 exactly
    expected = whole.to_global(placement=placement, sbp=[B] * len(sbp)).to_global(sbp=sbp).to_local()
    found = own.to(flow.float32).numpy()
    assert found.shape == tuple(expected.shape), (sbp, found.shape, expected.shape)
    assert np.array_equal(found, expected.numpy()), (source, sbp, dtype, found, expected.numpy())
"""

PLACES = (
    JOB
    + """
every = list(range(flow.env.get_world_size()))
line = flow.placement("cpu", every)
for source, shape in json.loads(sys.argv[1]):
    dtypes = [flow.float32, flow.bfloat16] if "bfloat16" in source else [flow.float32]
    for sbp in ([S(0)], [S(1)], [B]):
        for dtype in dtypes:
            check(source, shape, line, sbp, dtype)
    if len(every) == 4:
        square = flow.placement("cpu", [[0, 1], [2, 3]])
        for first in (S(0), S(1), B):
            for second in (S(0), S(1), B):
                check(source, shape, square, [first, second], flow.float32)
        model = module(shape, flow.placement("cpu", [1, 3]), [S(0)], flow.float32)
        torch2flow.load_state_dict(model, source)
        rows = {1: slice(0, 4), 3: slice(4, 7)}.get(flow.env.get_rank())
        if rows:
            whole = torch2flow.load(source)["weight"].to(flow.float32).numpy()
            assert np.array_equal(model.weight.to_local().numpy(), whole[rows])
print("equal", flush=True)
"""
)

MISSING = (
    JOB
    + """
rank = flow.env.get_rank()
sources = json.loads(sys.argv[1])
model = module(sources[0][1], flow.placement("cpu", [0, 1]), [S(0)], flow.float32)
try:
    torch2flow.load_state_dict(model, sources[0][0] if rank == 0 else "nowhere.pth")
except torch2flow.Torch2FlowError as error:
    print(type(error).__name__, error.what, flush=True)
"""
)


def run_ranks(python: Path, count: int, script: str, *arguments: str) -> list[str]:
    """Runs a script as a job of OneFlow's; rank 0 first, since a rank that comes too early sleeps for ten seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = []
    for rank in range(count):
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count),
                        "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}  # fmt: skip
        running.append(
            subprocess.Popen(
                [python, "-c", script, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        while rank == 0 and running[0].poll() is None:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
    try:
        told = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    assert all(process.returncode == 0 for process in running), "\n".join(errors for _, errors in told)
    return [printed.strip() for printed, _ in told]


@pytest.fixture(scope="module")
def sources(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[int]]]:
    """A plain file, one that is transposed in memory, safetensors in bfloat16, and a OneFlow folder; uneven sizes."""
    folder = tmp_path_factory.mktemp("sources")
    torch.manual_seed(0)
    weight = torch.randn(7, 10)
    torch.save({"weight": weight}, folder / "plain.pth")
    torch.save({"weight": torch.randn(10, 7).t()}, folder / "transposed.pth")
    torch.save({"weight": weight.bfloat16()}, folder / "half.pth")
    convert(folder / "half.pth", folder / "bfloat16.safetensors")
    convert(folder / "plain.pth", folder / "folder")
    names = ("plain.pth", "transposed.pth", "bfloat16.safetensors", "folder")
    return [(str(folder / name), [7, 10]) for name in names]


@pytest.mark.oneflow
@pytest.mark.parametrize("count", [2, 4])
def test_each_rank_reads_what_oneflow_would_give_it(count: int, sources: Any, oneflow_python: Path) -> None:
    import json

    assert run_ranks(oneflow_python, count, PLACES, json.dumps(sources)) == ["equal"] * count


@pytest.mark.oneflow
def test_what_fails_on_one_rank_ends_all(sources: Any, oneflow_python: Path) -> None:
    import json

    first, second = run_ranks(oneflow_python, 2, MISSING, json.dumps(sources))
    assert first == "FormatError 1 of 2 ranks could not load this checkpoint; this one could."
    assert second.startswith("FormatError The file can't be opened")


# -- blocks --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3), st.lists(st.integers(1, 4), min_size=1, max_size=2), st.data()
)
def test_the_blocks_of_all_ranks_are_the_tensor(shape: list[int], counts: list[int], data: st.DataObject) -> None:
    axes = [data.draw(st.sampled_from([None, *range(len(shape))])) for _ in counts]
    seen = np.zeros(shape, int)
    for place in np.ndindex(*counts):
        start, stop = box(tuple(shape), axes, counts, place)
        seen[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] += 1
    copies = int(np.prod([count for axis, count in zip(axes, counts, strict=True) if axis is None]))
    assert (seen == copies).all()


def test_the_first_ranks_have_one_more() -> None:
    assert [box((5,), [0], [3], [rank]) for rank in range(3)] == [((0,), (2,)), ((2,), (4,)), ((4,), (5,))]


def test_where_a_rank_is() -> None:
    assert place_of([[0, 1], [2, 3]], 2) == [1, 0] and place_of([1, 3], 3) == [1] and place_of([1, 3], 0) is None
