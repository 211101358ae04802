"""Puts byte ranges of files into new files by system calls alone; also runs as a process of its own.

Creating two files a tensor is work of the kernel, and so is copying; Python's lock makes threads wait for
one another around every call, a second process does not. This file imports nothing but the standard library,
so that the second process starts in a few milliseconds: `python -I -S placing.py ROOT` reads batches of
orders from stdin and answers each with the number of bytes it moved.
"""

from __future__ import annotations

import errno
import fcntl
import marshal
import os
import select
import struct
import sys
from collections import deque
from collections.abc import Callable

SLICE = 64 << 20
"""Bytes moved per call: between two, the progress bar moves and Ctrl-C is seen."""

BUFFER = 1 << 20
F_SETPIPE_SZ, PIPE_SIZE = 1031, 1 << 20  # linux/fcntl.h; the largest that needs no privilege
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_LENGTH = struct.Struct("<I")
_ANSWER = struct.Struct("<qi")  # bytes moved, and the error number or 0; a negative one is of reading the source

Order = tuple[str, bytes, str, int, int, int]
"""Folder to make, content of its `meta`, source file and its inode, offset in it, and bytes for its `out`."""


class SourceChangedError(Exception):
    """The source file is shorter than it was, or another file has taken its name."""


class SourceReadError(Exception):
    """The source file can't be read.

    Args:
        number: the system's error number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


def copy_range(source: int, offset: int, target: int, count: int, progress: Callable[[int], None]) -> None:
    """Appends `count` bytes of one file, from `offset` on, to another, without passing them through Python.

    Raises:
        SourceChangedError: the source ends early.
        SourceReadError: the source can't be read.
        OSError: the target can't be written.
    """
    method = 0
    while count:
        moved = 0
        try:
            moved = _METHODS[method](source, offset, target, count if count < SLICE else SLICE)
        except OSError:
            if method + 1 == len(_METHODS):
                raise
        if moved:
            offset, count = offset + moved, count - moved
            progress(moved)
        elif method + 1 < len(_METHODS):
            method += 1  # file systems and sandboxes refuse the kernel's ways with any number, or copy nothing
        else:
            raise SourceChangedError


def _copy_file_range(source: int, offset: int, target: int, count: int) -> int:
    return os.copy_file_range(source, target, count, offset_src=offset)


def _sendfile(source: int, offset: int, target: int, count: int) -> int:
    return os.sendfile(target, source, offset, count)


def _read_write(source: int, offset: int, target: int, count: int) -> int:
    try:
        chunk = os.pread(source, min(count, BUFFER), offset)
    except OSError as error:
        raise SourceReadError(error.errno or errno.EIO) from None
    write_all(target, chunk)
    return len(chunk)


_METHODS = (_copy_file_range, _sendfile, _read_write) if hasattr(os, "copy_file_range") else (_read_write,)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes all of `data`, however little the kernel takes at once."""
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)[written:]
        while view.nbytes:
            view = view[os.write(fd, view) :]


def create(path: str | os.PathLike[str], root: int | None = None) -> int:
    """Makes a new file and opens it. One that an interrupted run left gives way; what is linked to it stays as it is.

    Args:
        path: of the file.
        root: a folder's descriptor that `path` is relative to.

    Raises:
        OSError: the file can't be made.
    """
    try:
        return os.open(path, _NEW, 0o666, dir_fd=root)
    except FileExistsError:
        os.unlink(path, dir_fd=root)  # noqa: PTH108 - relative to a descriptor
        return os.open(path, _NEW, 0o666, dir_fd=root)


def write_file(path: str | os.PathLike[str], data: bytes, root: int | None = None) -> None:
    """Writes a small file anew.

    Raises:
        OSError: it can't be made or written.
    """
    fd = create(path, root)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def place(root: int, folder: str, meta: bytes, write: Callable[[int], None]) -> None:
    """Makes `folder/out`, written by `write`, and then `folder/meta`: a folder with a `meta` is complete.

    Raises:
        OSError: a file can't be made or written.
    """
    try:
        os.mkdir(folder, dir_fd=root)  # noqa: PTH102 - relative to a descriptor
    except FileExistsError:
        pass  # an interrupted run began it
    fd = create(f"{folder}/out", root)
    try:
        write(fd)
    finally:
        os.close(fd)
    write_file(f"{folder}/meta", meta, root)


class HelperLostError(Exception):
    """The second process has ended, whatever ended it."""


class Helper:
    """The second process.

    Args:
        root: the folder under which it makes its folders.
        progress: called in this process with each number of bytes it moved.
    """

    def __init__(self, root: str, progress: Callable[[int], None]) -> None:
        self.progress = progress
        self.outstanding: deque[int] = deque()
        import subprocess  # not at the top: the second process does without it, and has no packages

        from torch2flow.guards.child_python import script_python

        command = script_python(__file__, root, options=("-I", "-S"))
        # Without buffers here: `has_answer` would not see the answers that lie in one.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.orders, self.answers = self.process.stdin, self.process.stdout
        try:
            fcntl.fcntl(self.orders, F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            pass  # handing over waits sooner, that is all

    @property
    def outstanding_cost(self) -> int:
        """The cost of all batches that are not answered yet."""
        return sum(self.outstanding)

    def has_answer(self) -> bool:
        """Whether `collect` would return at once."""
        return bool(self.outstanding) and bool(select.select([self.answers], [], [], 0)[0])

    def submit(self, batch: list[Order], cost: int) -> None:
        """Hands over a batch; waits only if the pipe is full.

        Raises:
            HelperLostError: the process has ended; `collect` may know why.
        """
        raw = marshal.dumps(batch)
        try:
            write_all(self.orders.fileno(), _LENGTH.pack(len(raw)) + raw)
        except BrokenPipeError:
            raise HelperLostError from None
        self.outstanding.append(cost)

    def collect(self) -> None:
        """Waits for the answer to the oldest batch.

        Raises:
            SourceChangedError: the source ends early.
            SourceReadError: the source can't be read.
            HelperLostError: the process has ended.
            OSError: what the helper met.
        """
        answer = self.answers.read(_ANSWER.size)  # whole or empty: so little goes through a pipe in one piece
        if not answer or len(answer) < _ANSWER.size:
            raise HelperLostError
        moved, error = _ANSWER.unpack(answer)
        self.outstanding.popleft()
        if error == errno.ENODATA:
            raise SourceChangedError
        if error < 0:
            raise SourceReadError(-error)
        if error:
            raise OSError(error, os.strerror(error))
        self.progress(moved)

    def close(self, failed: bool) -> None:
        """Ends the process; after a failure at once."""
        if failed:
            self.process.kill()
        self.orders.close()
        self.process.wait()
        self.answers.close()


def _serve(root: int) -> None:
    """The loop of the second process: read a batch, carry it out, answer."""
    sources: dict[str, int] = {}
    stdin, stdout, parent = sys.stdin.buffer, sys.stdout.buffer, os.getppid()
    while True:
        head = stdin.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return
        moved, failure = 0, 0
        try:
            for folder, meta, path, inode, offset, count in marshal.loads(stdin.read(_LENGTH.unpack(head)[0])):
                if os.getppid() != parent:
                    return  # killed: another run may begin in the same folder
                if path not in sources:
                    if len(sources) >= 64:
                        os.close(sources.pop(next(iter(sources))))
                    try:
                        sources[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    except OSError as error:
                        raise SourceReadError(error.errno or errno.EIO) from None
                    if os.fstat(sources[path]).st_ino != inode:
                        raise SourceChangedError
                source = sources[path]
                place(root, folder, meta, lambda fd: copy_range(source, offset, fd, count, lambda n: None))  # noqa: B023
                moved += count
        except SourceChangedError:
            failure = errno.ENODATA
        except SourceReadError as error:
            failure = -error.number
        except OSError as error:
            failure = error.errno or errno.EIO
        stdout.write(_ANSWER.pack(moved, failure))
        stdout.flush()
        if failure:
            return


if __name__ == "__main__":
    try:
        _serve(os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY))
    except (KeyboardInterrupt, BrokenPipeError, EOFError):
        os._exit(130)  # interrupted, or the first process is gone
