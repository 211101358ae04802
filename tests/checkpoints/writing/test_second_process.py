"""Sharing the writing of a folder with a second process: nothing is lost, and neither process starves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import torch2flow
from torch2flow.checkpoints.writing import second_process
from torch2flow.checkpoints.writing.kernel_copy import Helper, SourceChangedError


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.mark.parametrize("batch", [1, 1 << 20])
def test_two_processes_write_what_one_writes(
    batch: int, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fixtures / "torch-1.13.1" / "dtypes-zip.pth"
    options = torch2flow.Options(complex="real", quantized="int", sparse="dense")
    torch2flow.convert(source, tmp_path / "alone", options)
    monkeypatch.setattr(second_process, "WORTH_A_PROCESS", 0)
    monkeypatch.setattr(second_process, "BATCH", batch)
    written: list[int] = []
    result = torch2flow.convert(source, tmp_path / "shared", options, progress=lambda total: written.append)
    assert files_of(tmp_path / "shared") == files_of(tmp_path / "alone")
    assert sum(written) == result.plan.nbytes, "progress counts the bytes of both"


def test_every_answer_is_seen_without_waiting(tmp_path: Path) -> None:
    """Answers that wait together must not hide one another, or no more work is handed over."""
    source = tmp_path / "source"
    source.write_bytes(b"0123456789")
    moved: list[int] = []
    helper = Helper(str(tmp_path), moved.append)
    for number in range(5):
        helper.submit([(f"tensor{number}", b"meta", str(source), source.stat().st_ino, number, 2)], 1)
    deadline = time.monotonic() + 30
    while not (tmp_path / "tensor4" / "meta").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    while helper.outstanding and time.monotonic() < deadline:
        if helper.has_answer():
            helper.collect()
    helper.close(failed=bool(helper.outstanding))
    assert moved == [2] * 5
    assert (tmp_path / "tensor4" / "out").read_bytes() == b"45"


def test_a_source_that_became_shorter_is_told(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"0123")
    helper = Helper(str(tmp_path), lambda count: None)
    helper.submit([("tensor", b"meta", str(source), source.stat().st_ino, 0, 100)], 1)
    with pytest.raises(SourceChangedError):
        helper.collect()
    helper.close(failed=True)
    assert not (tmp_path / "tensor" / "meta").exists(), "a folder with a meta is complete"


def test_another_file_under_the_same_name_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"0123")
    opened = source.stat().st_ino
    (tmp_path / "other").write_bytes(b"4567")
    (tmp_path / "other").replace(source)
    helper = Helper(str(tmp_path), lambda count: None)
    helper.submit([("tensor", b"meta", str(source), opened, 0, 4)], 1)
    with pytest.raises(SourceChangedError):
        helper.collect()
    helper.close(failed=True)
