"""Output appears whole or not at all: through kills, Ctrl-C, full disks, two runs at once, and changing sources."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison import assert_same_bits

import torch2flow

TENSORS = 1600
"""Enough that a conversion takes long enough to be interrupted."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A safetensors file of many small tensors, and one of 16 MB that is shared by none."""
    path = tmp_path_factory.mktemp("source") / "many.safetensors"
    sizes = [4 * (1 + number % 600) for number in range(TENSORS)] + [16 << 20]
    header, at = {}, 0
    for number, size in enumerate(sizes):
        header[f"layer.{number}.weight"] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    values = np.random.default_rng(0).bytes(at)
    path.write_bytes(len(text).to_bytes(8, "little") + text + values)
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "torch2flow", "convert", *map(str, arguments)]


def wait_for(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the conversion never got that far"
        time.sleep(0.001)


def written(folder: Path) -> int:
    """How many tensors an unfinished conversion to `folder/out` has."""
    weights = folder / ".out.torch2flow-partial" / "0" / "weights"
    return len(os.listdir(weights)) if weights.is_dir() else 0


def interrupt(source: Path, folder: Path, how: signal.Signals, after: int, *options: str) -> int:
    """Starts a conversion and sends it a signal once `after` tensors are there; returns how many it left."""
    process = subprocess.Popen(command(source, "-o", folder / "out", *options), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: written(folder) >= after or process.poll() is not None)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return written(folder)


@pytest.mark.parametrize(
    ("how", "after"),
    [(signal.SIGKILL, 1), (signal.SIGKILL, 300), (signal.SIGKILL, 1000), (signal.SIGINT, 300), (signal.SIGTERM, 300)],
)
def test_an_interrupted_run_leaves_nothing_under_the_name_and_resumes(
    how: signal.Signals, after: int, source: Path, tmp_path: Path, run_cli: Any
) -> None:
    left = interrupt(source, tmp_path, how, after)
    if (tmp_path / "out").exists():
        assert left == 0, "it was faster than the signal"
    code, _, err = run_cli("convert", source, "-o", tmp_path / "out", "--resume", "--overwrite")
    assert code == 0, err
    assert os.listdir(tmp_path) == ["out"]
    assert_same_bits(torch2flow.open_checkpoint(tmp_path / "out"), torch2flow.open_checkpoint(source))


def test_resume_keeps_what_is_there(source: Path, tmp_path: Path, run_cli: Any) -> None:
    assert interrupt(source, tmp_path, signal.SIGKILL, 500) >= 500
    weights = tmp_path / ".out.torch2flow-partial" / "0" / "weights"
    complete = sorted(folder.name for folder in weights.iterdir() if (folder / "meta").is_file())
    inodes = {name: (weights / name / "out").stat().st_ino for name in complete}
    assert run_cli("convert", source, "-o", tmp_path / "out", "--resume")[0] == 0
    again = {name: (tmp_path / "out" / "weights" / name / "out").stat().st_ino for name in complete}
    written_again = [name for name in complete if again[name] != inodes[name]]
    assert len(complete) > 400 and len(written_again) <= 2  # those that two processes were at when they were killed


def test_resume_starts_anew_for_another_source(source: Path, tmp_path: Path, run_cli: Any, fixtures: Path) -> None:
    assert interrupt(source, tmp_path, signal.SIGKILL, 500)
    other = fixtures / "torch-2.13.0/state_dict-zip.pth"
    assert run_cli("convert", other, "-o", tmp_path / "out", "--resume")[0] == 0
    assert_same_bits(torch2flow.open_checkpoint(tmp_path / "out"), torch2flow.open_checkpoint(other))


def test_a_plain_run_after_a_killed_one_works(source: Path, tmp_path: Path, run_cli: Any) -> None:
    assert interrupt(source, tmp_path, signal.SIGKILL, 500)
    assert run_cli("convert", source, "-o", tmp_path / "out")[0] == 0
    assert os.listdir(tmp_path) == ["out"]


def test_a_killed_overwrite_leaves_the_old_output(source: Path, tmp_path: Path, run_cli: Any, fixtures: Path) -> None:
    old = fixtures / "torch-2.13.0/state_dict-zip.pth"
    assert run_cli("convert", old, "-o", tmp_path / "out")[0] == 0
    interrupt(source, tmp_path, signal.SIGKILL, 500, "--overwrite")
    assert_same_bits(torch2flow.open_checkpoint(tmp_path / "out"), torch2flow.open_checkpoint(old))


def test_two_runs_at_once_are_told_apart(source: Path, tmp_path: Path, run_cli: Any) -> None:
    first = subprocess.Popen(command(source, "-o", tmp_path / "out"), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: written(tmp_path) > 10 or first.poll() is not None)
    first.send_signal(signal.SIGSTOP)
    try:
        code, _, err = run_cli("convert", source, "-o", tmp_path / "out")
    finally:
        first.send_signal(signal.SIGCONT)
    assert code == 5 and "Another torch2flow is writing" in err
    assert first.wait(60) == 0
    assert_same_bits(torch2flow.open_checkpoint(tmp_path / "out"), torch2flow.open_checkpoint(source))


@pytest.mark.parametrize("format_", ["folder", "file", "safetensors", "pth", "snapshot"])
def test_a_disk_that_takes_no_more_leaves_nothing_behind(format_: str, source: Path, tmp_path: Path) -> None:
    """A limit on file size meets the same code as a full disk, and needs no disk of its own."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    arguments = command(source, "-o", tmp_path / "out", "--format", format_)
    done = subprocess.run(arguments, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "can't be written" in done.stderr and "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_source_that_changes_is_noticed(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(source.read_bytes())
    process = subprocess.Popen(command(copy, "-o", tmp_path / "out"), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: written(tmp_path) > 10 or process.poll() is not None)
    process.send_signal(signal.SIGSTOP)
    with copy.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\xff")
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "changed while it was read" in err
    assert sorted(os.listdir(tmp_path)) == ["copy.safetensors"]


@pytest.mark.parametrize("where", ["link", "missing/deep/out", "file/out"])
def test_odd_places_for_an_output(where: str, tmp_path: Path, run_cli: Any, fixtures: Path) -> None:
    source = fixtures / "torch-2.13.0/state_dict-zip.pth"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("kept")
    code, _, err = run_cli("convert", source, "-o", tmp_path / where, "--overwrite")
    if where == "missing/deep/out":
        assert code == 0 and (tmp_path / where / "pickled_data").is_file()
    else:
        assert code == 5 and str(tmp_path / where) in err.replace(".out.torch2flow-partial", "out")
        assert (tmp_path / "elsewhere" / "kept").read_text() == (tmp_path / "file").read_text() == "kept"


def test_no_permission_is_told(tmp_path: Path, run_cli: Any, fixtures: Path) -> None:
    source = fixtures / "torch-2.13.0/state_dict-zip.pth"
    code, _, err = run_cli("convert", source, "-o", "/proc/torch2flow-out")  # nobody may write there, root included
    assert code == 5 and "/proc" in err
