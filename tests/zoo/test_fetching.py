"""Downloads from a real server on this machine, which breaks off, lies, or is not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from torch2flow.errors import FormatError, OutputError, UsageError
from torch2flow.zoo.fetching import fetch

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()[:8]


@pytest.fixture(autouse=True)
def _data(server: Any) -> None:
    server.data = DATA


def test_a_file_comes_whole(server: Any, tmp_path: Path) -> None:
    told: list[int] = []
    totals: list[int] = []

    def progress(total: int) -> Any:
        totals.append(total)
        return told.append

    path = fetch(server.url(), tmp_path / "new" / "file.pth", SHA, progress)
    assert path.read_bytes() == DATA and os.listdir(path.parent) == ["file.pth"]
    assert totals == [len(DATA)] and sum(told) == len(DATA)
    fetch(server.url(), path, SHA)
    assert len(server.asked) == 1, "the second time it is there"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_again(ranges: bool, server: Any, tmp_path: Path) -> None:
    server.breaks, server.ranges = [1000, 500_000], ranges
    assert fetch(server.url(), tmp_path / "file.pth", SHA).read_bytes() == DATA
    assert len(server.asked) == 3
    assert server.asked[0] == "" and server.asked[1] == "bytes=1000-"


def test_the_next_run_goes_on_where_this_one_stopped(server: Any, tmp_path: Path) -> None:
    server.breaks = [1000, 1000, 1000]
    with pytest.raises(UsageError, match=r"file\.pth .* 3,000 bytes have come, and the next run goes on") as caught:
        fetch(server.url(), tmp_path / "file.pth", SHA)
    assert str(tmp_path / "file.pth") in str(caught.value) and not (tmp_path / "file.pth").exists()
    assert fetch(server.url(), tmp_path / "file.pth", SHA).read_bytes() == DATA
    assert server.asked[-1] == "bytes=3000-"


def test_a_run_that_was_killed_after_the_last_byte(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file.pth.part").write_bytes(DATA)
    assert fetch(server.url(), tmp_path / "file.pth", SHA).read_bytes() == DATA


def test_a_wrong_hash_is_refused_and_nothing_kept(server: Any, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=f"begins with {SHA}, not 00000000"):
        fetch(server.url(), tmp_path / "file.pth", "00000000")
    assert os.listdir(tmp_path) == []


def test_rubbish_of_an_older_run_is_not_built_upon(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file.pth.part").write_bytes(b"another file" * 10)
    with pytest.raises(FormatError, match="run again"):
        fetch(server.url(), tmp_path / "file.pth", SHA)
    assert fetch(server.url(), tmp_path / "file.pth", SHA).read_bytes() == DATA


def test_a_cached_file_of_another_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.pth").write_bytes(b"something else")
    with pytest.raises(FormatError, match="remove it"):
        fetch("http://127.0.0.1:9/file.pth", tmp_path / "file.pth", SHA)
    assert (tmp_path / "file.pth").exists(), "it is the user's"


def test_a_file_that_is_not_there(server: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"file\.pth is not in the cache.*404"):
        fetch(server.url("missing.pth"), tmp_path / "file.pth", SHA)


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"could not be downloaded: .*refused") as caught:
        fetch("http://127.0.0.1:9/file.pth", tmp_path / "file.pth", SHA)
    assert f"put it at {tmp_path / 'file.pth'}" in str(caught.value)


def test_a_cache_that_cannot_be_written(server: Any, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="TORCH_HOME"):
        fetch(server.url(), tmp_path / "cache" / "file.pth", SHA)
