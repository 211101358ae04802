"""The lock of a work folder: one run at a time writes there, and a killed one leaves no lock that holds.

`flock` ends with the process. Where a file system has none (some of Lustre and NFS), a file says which process is
writing, and counts as long as that process lives.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from torch2flow.checkpoints.writing.kernel_copy import write_file
from torch2flow.checkpoints.writing.renaming import move
from torch2flow.errors import OutputError

LOCK, OWNER = "lock", "owner"
TRIES = 100


class Lock:
    """The lock of a folder, which is made where it is missing.

    Args:
        folder: the folder.

    Attributes:
        held: whether this process has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.held = folder, False
        self._fd = -1

    def acquire(self, out: Path) -> bool:
        """Takes the lock; returns whether the folder was there before.

        Args:
            out: the output, for the message.

        Raises:
            OutputError: another run has the lock, or the folder is something else.
            OSError: the folder or a file in it can't be made.
        """
        existed = False
        for _ in range(TRIES):
            try:
                self.folder.mkdir(0o700)
            except FileExistsError:
                existed = True
                if self.folder.is_symlink() or not self.folder.is_dir():
                    raise OutputError(
                        "The output is written into a folder beside it, and its name is taken by something else.",
                        where=str(self.folder),
                        remedy="move it away, or choose another -o",
                    ) from None
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                self._fd = os.open(self.folder / LOCK, flags, 0o666)
                self._lock(out)
                if self._is_there():
                    self.held = True
                    return existed
            except FileNotFoundError:
                pass  # the run that had it has just ended, and removed the folder
            except OutputError:
                self._close()
                raise
            except BaseException:
                self._close()
                if not existed:
                    with suppress(OSError):
                        (self.folder / LOCK).unlink()
                    with suppress(OSError):
                        self.folder.rmdir()
                raise
            self._close()
        raise _busy(out)

    def _lock(self, out: Path) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            raise _busy(out) from None
        except OSError:
            pass  # there are no such locks here
        owner = self.folder / OWNER
        mine = _process(os.getpid())
        try:
            self._claim(owner, mine)
            return
        except FileExistsError:
            theirs = owner.read_text("utf-8", "replace")
        host, boot, pid, _ = [*theirs.split(), "", "", "", ""][:4]
        if [host, boot] == mine.split()[:2] and pid.isdigit() and _process(int(pid)) != theirs:
            aside = self.folder / f"{OWNER}.{os.getpid()}"
            os.rename(owner, aside)  # of several runs, one can do this
            if aside.read_text("utf-8", "replace") == theirs:
                aside.unlink()
                self._claim(owner, mine)
                return
            move(aside, owner)
        raise _busy(out, f", or delete {owner} if none is running on {host}" if host else "")

    def _claim(self, owner: Path, mine: str) -> None:
        aside = self.folder / f"{OWNER}.{os.getpid()}"
        try:
            write_file(aside, mine.encode())
            move(aside, owner)
        finally:
            with suppress(OSError):
                aside.unlink()

    def _is_there(self) -> bool:
        """Whether the file that is locked still has its name."""
        return os.path.samestat(os.fstat(self._fd), (self.folder / LOCK).lstat())

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def release(self, remove: bool) -> None:
        """Gives the lock back, and removes the folder where nothing else is in it. Never raises."""
        names = (OWNER, LOCK) if remove else (OWNER,)
        for name in names:
            with suppress(OSError):
                (self.folder / name).unlink()
        if remove:
            with suppress(OSError):
                self.folder.rmdir()
        with suppress(OSError):
            self._close()
        self.held = False


def _process(number: int) -> str:
    """Which process has a number: host, start of the machine, number, and when the process began; "" where none has."""
    try:
        began = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, IndexError):
        began, boot = "?", "?"
        try:
            os.kill(number, 0)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return ""
    return f"{socket.gethostname()} {boot} {number} {began}"


def _busy(out: Path, more: str = "") -> OutputError:
    return OutputError(
        "Another torch2flow is writing this output.", where=str(out), remedy=f"wait for it, or stop it{more}"
    )
