"""The file on disk: opened once, read by range, and watched for changes while it is in use."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch2flow.errors import FormatError
from torch2flow.guards.regular_files import open_regular

MAX_HELD = 256
"""Descriptors kept open at once; a folder with a file per tensor has more files than a process may open."""

_held = 0


class SourceFile:
    """One regular file, read by `pread` so that only the bytes asked for are ever in memory.

    Args:
        path: the file.

    Attributes:
        path: the file.
        location: its absolute path.
        size: its length in bytes.
        status: its `os.stat` at opening.

    Raises:
        FormatError: it does not exist, can't be read, or is no regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        global _held
        self.path = Path(path)
        self.location = os.path.abspath(path)
        self.fd = -1
        self._map: mmap.mmap | None = None
        fd = open_regular(path)
        try:
            self.status = os.fstat(fd)
            self.size = self.status.st_size
            if _held < MAX_HELD:
                _held += 1
                self.fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of the file for as long as the block runs."""
        if self.fd >= 0:
            yield self.fd
            return
        fd = open_regular(self.path)
        try:
            yield fd
        finally:
            os.close(fd)

    def read(self, offset: int, count: int, what: str = "data") -> bytes:
        """Exactly `count` bytes at `offset`.

        Raises:
            FormatError: the file is shorter than that, or can't be read.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            raise FormatError(
                f"The file is cut off: {what} needs bytes {offset} to {offset + count}, the file has {self.size}.",
                where=str(self.path),
                maybe="the download or copy was interrupted",
                remedy="compare its size with the original and fetch it again",
            )
        try:
            if self.fd >= 0:
                chunk = os.pread(self.fd, count, offset)
                if len(chunk) == count:
                    return chunk
            with self.opened() as fd:
                chunk = os.pread(fd, count, offset)
                while len(chunk) < count:  # the kernel reads at most 2 GiB at once
                    more = os.pread(fd, count - len(chunk), offset + len(chunk))
                    if not more:
                        raise FormatError("The file became shorter while it was read.", where=str(self.path))
                    chunk += more
        except OSError as error:
            raise FormatError(f"The file can't be read: {error.strerror}.", where=str(self.path)) from None
        return chunk

    def map(self) -> mmap.mmap:
        """The whole file, mapped once and copy-on-write: arrays over it are writable, the file never changes."""
        if self._map is None:
            protection = mmap.PROT_READ | mmap.PROT_WRITE
            try:
                with self.opened() as fd:
                    self._map = mmap.mmap(fd, self.size, flags=mmap.MAP_PRIVATE, prot=protection)
            except (OSError, ValueError) as error:  # ValueError: the file is empty, or shorter than it was
                raise FormatError(f"The file can't be mapped: {error}.", where=str(self.path)) from None
        return self._map

    def check_unchanged(self) -> None:
        """Refuses to go on when the file was written to since it was opened.

        Raises:
            FormatError: size or modification time differ from those at opening.
        """
        with self.opened() as fd:
            now = os.fstat(fd)
        if (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns):
            raise FormatError(
                "The file changed while it was read.",
                where=str(self.path),
                maybe="a training run is still writing it",
                remedy="run again once it is complete",
            )

    def close(self) -> None:
        """Closes the descriptor; arrays already mapped stay valid."""
        global _held
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            _held -= 1

    def __del__(self) -> None:
        try:
            self.close()
        except (AttributeError, TypeError):
            pass  # The interpreter is ending: modules are gone, and descriptors close with it.
