"""Output that appears whole or not at all: written beside its final name, then renamed over it in one step.

A folder `out` grows as `.out.torch2flow-partial`; a killed run leaves that folder, and `--resume` goes on
with it. Replacing swaps the two names in the kernel (`renameat2`), and only then deletes the old tree: ext4
makes files slowly where a large tree was just deleted (docs/performance.md).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from torch2flow.errors import OutputError

AT_FDCWD, RENAME_NOREPLACE, RENAME_EXCHANGE = -100, 1, 2  # linux/fs.h


RESUME_MARK = "resume"


class Staging:
    """A context in which `path` is written; `commit` gives it its final name.

    Args:
        out: the final name.
        folder: whether a folder or a file is written.
        overwrite: an existing output may be replaced.
        resume: go on with what an interrupted run with the same `fingerprint` left.
        fingerprint: source and options in short; a partial folder of another one is not gone on with.
        replaceable: whether an existing `out` is something that may be replaced at all.

    Raises:
        OutputError: the output exists, can't be written, or another run is writing it.
    """

    def __init__(
        self,
        out: Path,
        *,
        folder: bool,
        overwrite: bool,
        resume: bool,
        fingerprint: str,
        replaceable: Callable[[Path], bool],
    ) -> None:
        self.out, self.folder, self.resume, self.fingerprint = out, folder, resume, fingerprint
        self.path = out.parent / f".{out.name}.torch2flow-partial"
        self.lock = -1
        self._check_target(overwrite, replaceable)

    def _check_target(self, overwrite: bool, replaceable: Callable[[Path], bool]) -> None:
        if os.path.lexists(self.out):
            if not overwrite:
                raise OutputError(
                    "The output exists.", where=str(self.out), remedy="choose another -o, or add --overwrite"
                )
            if self.out.is_symlink() or not replaceable(self.out):
                raise OutputError(
                    "The output exists and is no checkpoint: it is not replaced even with --overwrite.",
                    where=str(self.out),
                    remedy="choose another -o, or move it away yourself",
                )

    def __enter__(self) -> Staging:
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._acquire()
            if self.folder:
                mark = self.path / RESUME_MARK
                if not (self.resume and mark.is_file() and mark.read_text("utf-8") == self.fingerprint):
                    self._clear()
                    mark.write_text(self.fingerprint, "utf-8")
        except OSError as error:
            self._release()
            raise output_error(error, self.path) from None
        return self

    def _acquire(self) -> None:
        """Makes the partial output and locks it; the lock ends with the process, however that ends."""
        if self.folder:
            if os.path.lexists(self.path) and not self.path.is_dir():
                self.path.unlink()
            self.path.mkdir(exist_ok=True)
            self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        else:
            self.lock = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            raise OutputError(
                "Another torch2flow is writing this output.",
                where=str(self.out),
                remedy="wait for it, or stop it",
            ) from None

    def _release(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def _clear(self) -> None:
        """Removes what an earlier run left."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def commit(self) -> None:
        """Gives the output its final name.

        Raises:
            OutputError: something else took that name in the meantime.
        """
        try:
            if self.folder:
                (self.path / RESUME_MARK).unlink()
            if not os.path.lexists(self.out):
                _rename(self.path, self.out, RENAME_NOREPLACE)
            elif self.folder:
                _rename(self.path, self.out, RENAME_EXCHANGE)
                shutil.rmtree(self.path)
            else:
                os.replace(self.path, self.out)
        except OSError as error:
            raise output_error(error, self.out) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes the partial output after an error; after an interruption a folder stays, for `--resume`."""
        self._release()
        interrupted = kind is not None and not issubclass(kind, Exception)
        if kind is None or (interrupted and self.folder):
            return
        if self.folder:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


def output_error(error: OSError, path: Path) -> OutputError:
    """An operating system's refusal to write, in words."""
    remedy = {
        errno.ENOSPC: "free some space, or choose a -o on another disk",
        errno.EDQUOT: "your quota is used up: free some space, or choose a -o elsewhere",
        errno.EFBIG: "the file system or a limit (ulimit -f) does not allow files of this size",
        errno.EACCES: "choose a -o where you may write",
        errno.EROFS: "choose a -o on a disk that is not read-only",
        errno.EEXIST: "something else wrote there in the meantime",
    }.get(error.errno or 0, "")
    return OutputError(f"The output can't be written: {error.strerror}.", where=str(path), remedy=remedy)


def check_space(folder: Path, needed: int) -> None:
    """Refuses to begin what the disk can't hold.

    Raises:
        OutputError: fewer than `needed` bytes are free.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"The output needs {needed:,} bytes, and {free:,} are free.",
            where=str(folder),
            remedy="free some space, or choose a -o on another disk",
        )


def _rename(source: Path, target: Path, flags: int) -> None:
    """`renameat2`, which swaps two names or refuses to replace; plain renames where the system lacks it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        if libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number))
    if flags == RENAME_EXCHANGE:
        aside = source.with_name(f"{source.name}-old")
        os.rename(target, aside)
        os.rename(source, target)
        os.rename(aside, source)
    else:
        os.rename(source, target)
