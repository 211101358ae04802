"""What a file or an option asks for is refused before it is paid: models, ranks, and a million tensors are bounded."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from .command_line import run_here
from .corpus.build import FOUR, dict_of, tensor, text, torch_zip
from .harness import Worker


@pytest.mark.parametrize("command", ["convert", "predict", "compare"])
def test_weights_that_repeat_what_is_stored_build_no_model(command: str, tmp_path: Path) -> None:
    """A head of 10^8 classes that is expanded from one number: OneFlow would end the process for want of memory."""
    path = tmp_path / "alexnet.pth"
    head = (text("classifier.6.weight"), tensor([100_000_000, 4096], [0, 0]))
    path.write_bytes(torch_zip(dict_of(head), {"0": FOUR}))
    given = {"convert": ["alexnet", "-o", tmp_path / "out"], "predict": ["alexnet", path], "compare": ["alexnet"]}
    ran = run_here("zoo", command, *given[command], "--weights", path)
    assert not ran.fault and ran.code in (2, 3, 6)
    assert command == "compare" or "repeated from 16 that are stored" in ran.errors or ran.code == 6


def test_more_ranks_than_a_job_has(fixtures: Path, tmp_path: Path) -> None:
    source, most = fixtures / "torch-2.13.0" / "net.safetensors", 1 << 16
    assert run_here("plan", source, "data", "--ranks", most).code == 0
    for ranks in (most + 1, 10**9, 10**30):
        assert run_here("plan", source, "data", "--ranks", ranks).code == 2
        assert run_here("convert", source, "-o", tmp_path / "out", "--plan", "data", "--ranks", ranks).code == 2


def test_a_header_of_many_tensors(worker: Worker, tmp_path: Path) -> None:
    """A hundred thousand tensors, of which a million take as much more: about 0.5 kB each, and some 30 microseconds."""
    count, path = 100_000, tmp_path / "many.safetensors"
    rows = {f"layers.{n}.w": {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]} for n in range(count)}
    header = json.dumps(rows).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * count))
    few = worker.run("cli", tmp_path, args=["inspect", str(tmp_path / "none")])
    for arguments in (["inspect", str(path)], ["convert", str(path), "-o", str(tmp_path / "out.safetensors"), "-q"]):
        started = time.monotonic()
        outcome = worker.run("cli", tmp_path, args=arguments)
        assert not outcome.fault and outcome.answer["exit_code"] == 0
        assert outcome.peak - few.peak < 130, f"{outcome.peak - few.peak:.0f} MiB"
        assert time.monotonic() - started < 15
