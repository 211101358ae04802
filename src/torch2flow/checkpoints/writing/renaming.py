"""Gives names to files and folders without taking one from anything else, and tells what has a name.

The kernel does it in one step (`renameat2`). Where a file system or a sandbox refuses that, with whatever error number,
the ways of POSIX follow, and their own error counts.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

AT_FDCWD, RENAME_NOREPLACE, RENAME_EXCHANGE = -100, 1, 2  # linux/fs.h


def move(source: Path, target: Path) -> None:
    """Gives `source` the name `target`, which nothing may have.

    Raises:
        FileExistsError: something has it.
        OSError: the name can't be given.
    """
    number = _renameat2(source, target, RENAME_NOREPLACE)
    if number == errno.EEXIST or (number and os.path.lexists(target)):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if not number:
        return
    if not is_folder(source):
        with suppress(OSError):  # a file system without hard links
            os.link(source, target, follow_symlinks=False)
        if same(source, target):
            source.unlink()
            return
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)  # of folders, this replaces nothing but an empty one


def exchange(one: Path, other: Path) -> bool:
    """Lets two things swap their names; False where the file system can't, and nothing was done.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    number = _renameat2(one, other, RENAME_EXCHANGE)
    if number == errno.ENOENT:
        raise FileNotFoundError(number, os.strerror(number), str(other))
    return not number


def _renameat2(source: Path, target: Path, flags: int) -> int:
    """Returns the error number, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return errno.ENOSYS
    done = libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags)
    return ctypes.get_errno() or errno.EIO if done else 0


def is_folder(path: Path) -> bool:
    """Whether a path is a folder itself, and no link to one."""
    return stat.S_ISDIR(os.lstat(path).st_mode)


def same(one: Path, other: Path) -> bool:
    """Whether two names are those of one file or folder."""
    with suppress(OSError):
        return os.path.samestat(os.lstat(one), os.lstat(other))
    return False


COMPILED = re.compile(r"((?:.*/)?)__pycache__/([^/]+?)\.[^/]*\.pyc", re.DOTALL)
"""The path of what Python keeps of a file that it imported: the folder and the stem of that file."""


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder, with its path relative to it; links are not followed.

    Raises:
        OSError: a folder can't be read.
    """
    pending = [""]
    while pending:
        inner = pending.pop()
        with os.scandir(folder / inner) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = f"{inner}/{entry.name}" if inner else entry.name
            status = entry.stat(follow_symlinks=False)
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                pending.append(path)


def identity(path: Path) -> str:
    """Which file or folder has a name, in a short text that renaming it does not change; "" where none has it."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    of_file = "" if stat.S_ISDIR(status.st_mode) else f" {status.st_size} {status.st_mtime_ns}"
    return f"{status.st_ino} {status.st_mode}{of_file}"


class Standing:
    """Which file or folder has a name, and of a folder what is in it.

    Args:
        path: the name.
    """

    def __init__(self, path: Path) -> None:
        self._identity, self._digest = identity(path), hashlib.sha256()
        self._entries = walk(path) if self._identity and is_folder(path) else iter(())

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """What is in the folder. So who looks at all of it need not walk a second time.

        Raises:
            OSError: a folder can't be read.
        """
        for name, status in self._entries:
            parts = (name, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            self._digest.update(repr(parts).encode("utf-8", "backslashreplace"))
            yield name, status

    def text(self) -> str:
        """Another one after any change to any file inside; "" where nothing has the name."""
        for _ in self.entries():
            pass
        return f"{self._identity} {self._digest.hexdigest()}" if self._identity else ""


def state(path: Path) -> str:
    """The state of what has a name, as text.

    Raises:
        OSError: a folder can't be read.
    """
    return Standing(path).text()


def beside(path: Path, prefix: str, suffix: str) -> Path:
    """The path of something that belongs to `path` and lies beside it. A name that is too long is told by its hash."""
    name = f"{prefix}{path.name}{suffix}"
    if len(os.fsencode(name)) > _longest_name(path.parent):
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:24]
        name = f"{prefix}{digest}{suffix}"
    return path.parent / name  # which the root of a file system has too, unlike `with_name`


def _longest_name(folder: Path) -> int:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return 255
