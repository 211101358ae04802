"""What PyTorch 1.13 can't show, against today's: newer names, and what goes from rank to rank."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ranks import run_job

ORIGINALS = Path(__file__).parent / "originals"

IN_PYTORCH = """
import contextlib, os, runpy, sys
import torch.multiprocessing

def rank(number, source, folder):
    os.environ.update(RANK=str(number), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    import torch.distributed as dist
    start = dist.init_process_group
    dist.init_process_group = lambda backend: start(backend, f"file://{folder}/meeting", rank=number, world_size=2)
    with open(f"{folder}/{number}", "w") as printed, contextlib.redirect_stdout(printed):
        runpy.run_path(source)

if __name__ == "__main__":
    torch.multiprocessing.spawn(rank, sys.argv[1:], nprocs=2)
"""


@pytest.mark.oneflow
def test_names_that_are_newer_give_what_they_give_there(
    port: Any, run_python: Callable[..., str], torch_python: Path, oneflow_python: Path
) -> None:
    source = ORIGINALS / "newer_names.py"
    out, found = port(source, "ported/newer_names.py")
    assert not found.tally.uses["cannot"]
    expected = json.loads(run_python(torch_python, source.read_text("utf-8")))
    given = json.loads(run_python(oneflow_python, out.read_text("utf-8"), env={"PYTHONPATH": str(out.parent)}))
    assert len(given) == len(expected) >= 25
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.oneflow
def test_collective_operations(port: Any, torch_python: Path, oneflow_python: Path, tmp_path: Path) -> None:
    out, found = port(ORIGINALS / "collectives.py", "ported/collectives.py")
    assert not found.tally.uses["cannot"]
    (tmp_path / "original.py").write_text(IN_PYTORCH)
    command = [torch_python, tmp_path / "original.py", ORIGINALS / "collectives.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(2)]
    ran = run_job(oneflow_python, 2, out)
    assert ran.code == 0, ran.errors
    assert [json.loads(lines[0]) for lines in ran.printed] == expected
