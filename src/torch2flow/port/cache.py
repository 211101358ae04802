# ruff: noqa: PTH107, PTH116 - all of it is relative to a descriptor
"""What was ported before, by the content of what it came from: `$XDG_CACHE_HOME/torch2flow/port`.

What lies there is run later, so it is taken only from a folder and files that belong to this user, and that nobody else
can write. What is cut off or damaged is not taken either. An entry appears whole or not at all, so that any number of
processes share the folder. Where it can't be made, everything works without it; it may be removed at any time.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from torch2flow import errors
from torch2flow._version import __version__

MOST = 1 << 28
"""Bytes of the largest entry."""

KEPT_FOR = 30 * 24 * 3600
"""Seconds for which an entry is kept that nobody asks for."""

_DIGEST = hashlib.sha256().digest_size
_OURS = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{16}")


class Cache:
    """Entries by key.

    Args:
        folder: where they lie; None for no cache at all.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = _private_folder(folder) if folder is not None else -1

    @property
    def is_there(self) -> bool:
        """Whether anything can be kept."""
        return self._folder >= 0

    def get(self, key: str) -> bytes | None:
        """An entry; None where there is none that can be trusted."""
        if self._folder < 0:
            return None
        try:
            fd = os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or not _is_private(status) or status.st_size > MOST:
                return None
            with open(fd, "rb", closefd=False) as file:
                digest, data = file.read(_DIGEST), file.read()
            if time.time() - status.st_mtime > KEPT_FOR / 10:
                os.utime(fd)
            return data if digest == _digest(key, data) else None
        except OSError:
            return None
        finally:
            os.close(fd)

    def put(self, key: str, data: bytes) -> None:
        """Keeps an entry, in place of one with the same key. A disk that is full is no error."""
        if self._folder < 0 or len(data) > MOST - _DIGEST:
            return
        name = f".{secrets.token_hex(8)}"
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
            with open(fd, "wb") as file:
                file.write(_digest(key, data) + data)
            os.replace(name, key, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            with suppress(OSError):
                os.remove(name, dir_fd=self._folder)


def default_folder() -> Path | None:
    """Where the cache is for this user; None where there is no home."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "torch2flow" / "port"


def cache_key(*parts: object) -> str:
    """The key for what comes of these parts, by this very version of the rules."""
    return hashlib.sha256(repr((_rules_digest(), parts)).encode("utf-8", "surrogatepass")).hexdigest()


def content_digest(data: bytes) -> str:
    """What stands for the content of a file."""
    return hashlib.sha256(data).hexdigest()


@cache
def _rules_digest() -> str:
    """What stands for all code and data of ours that decides what source becomes."""
    here = Path(errors.__file__).parent
    found = hashlib.sha256(__version__.encode())
    for file in _files(here / "port", here / "models"):
        found.update(file.read_bytes())
    return found.hexdigest()


def _files(*folders: Path) -> Iterable[Path]:
    for folder in folders:
        yield from sorted(each for each in folder.rglob("*") if each.suffix in (".py", ".jsonl"))


def _digest(key: str, data: bytes) -> bytes:
    return hashlib.sha256(key.encode() + data).digest()


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _private_folder(folder: Path) -> int:
    """A descriptor of the folder, which is made where it is missing; -1 where others could write there."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return -1
    if not _is_private(os.fstat(fd)):
        os.close(fd)
        return -1
    _forget_old(fd)
    return fd


def _forget_old(folder: int) -> None:
    """Removes what nobody asked for in a long time; looks once a day."""
    now = time.time()
    with suppress(OSError):
        try:
            if now - os.stat(".looked", dir_fd=folder).st_mtime < KEPT_FOR / 30:
                return
        except FileNotFoundError:
            pass
        os.close(
            os.open(
                ".looked", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_TRUNC | os.O_NONBLOCK, 0o600, dir_fd=folder
            )
        )
        for name in filter(_OURS.fullmatch, os.listdir(folder)):
            if now - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > KEPT_FOR:
                os.remove(name, dir_fd=folder)
