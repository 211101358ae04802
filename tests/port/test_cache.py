"""What is kept of earlier ports is taken only from what belongs to this user, whole, and nobody else's."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from torch2flow.port.cache import Cache, cache_key, default_folder


def test_an_entry_comes_back_and_other_content_is_another_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a" / "b")
    key = cache_key("module", "nets", b"import torch")
    assert cache.get(key) is None
    cache.put(key, b"one")
    assert Cache(tmp_path / "a" / "b").get(key) == b"one"
    assert key != cache_key("module", "nets", b"import torch ") and key != cache_key("module", "nets2", b"import torch")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / key).stat().st_mode & 0o777 == 0o600


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def link(file: Path) -> None:
    os.rename(file, file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "damage",
    [cut, flip, link, fifo, folder, lambda file: file.write_bytes(b""), lambda file: file.chmod(0o620),
     lambda file: file.chmod(0o602), lambda file: os.truncate(file, 10)],
)  # fmt: skip
def test_what_is_damaged_or_writable_by_others_is_not_taken_and_is_replaced(damage, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")
    cache.put("k", b"one")
    damage(tmp_path / "c" / "k")
    assert cache.get("k") is None
    if damage is not folder:
        cache.put("k", b"two")
        assert cache.get("k") == b"two"


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_no_cache(mode: int, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c").chmod(mode)
    cache = Cache(tmp_path / "c")
    cache.put("k", b"one")
    assert cache.get("k") is None and list((tmp_path / "c").iterdir()) == []


def test_a_folder_that_can_not_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path / "file" / "c", tmp_path / "link", Path("/proc/none/c"), Path("a\0b"), None):
        cache = Cache(folder)
        cache.put("k", b"one")
        assert cache.get("k") is None


def test_many_at_once_see_whole_entries(tmp_path: Path) -> None:
    def work(number: int) -> set[bytes | None]:
        cache, seen = Cache(tmp_path / "c"), set()
        for _ in range(50):
            cache.put("k", bytes([number]) * 5000)
            seen.add(cache.get("k"))
        return seen

    with ThreadPoolExecutor(4) as pool:
        for seen in pool.map(work, range(4)):
            assert all(each is not None and len(set(each)) == 1 and len(each) == 5000 for each in seen)
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"k", ".looked"}


def test_what_nobody_asked_for_in_a_month_is_forgotten(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c")
    for name in ("0" * 64, "1" * 64):
        cache.put(name, b"x")
    month = 31 * 24 * 3600
    (tmp_path / "c" / "thesis.txt").write_text("nobody's but mine")
    for name in ("0" * 64, "thesis.txt", ".looked"):
        status = (tmp_path / "c" / name).stat()
        os.utime(tmp_path / "c" / name, (status.st_atime - month, status.st_mtime - month))
    Cache(tmp_path / "c")
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"1" * 64, "thesis.txt", ".looked"}


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "torch2flow" / "port"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "torch2flow" / "port"
