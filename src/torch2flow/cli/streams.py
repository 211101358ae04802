"""Standard output and error that never stop a command: the disk may be full, the reader gone, the encoding small.

What a command does, and its exit code, are the same whoever reads what it prints.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any


class Outlet(io.RawIOBase):
    """Writes to a stream until that fails, and then drops the rest.

    Args:
        under: the binary stream below.

    Attributes:
        failure: the first error; None also where only the reader is gone, as with `| head -1`.
    """

    def __init__(self, under: Any) -> None:
        self.under = under
        self.failure: OSError | None = None
        self.is_open = under is not None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.under is not None and bool(self.under.isatty())

    def fileno(self) -> int:
        if self.under is None:
            raise io.UnsupportedOperation("fileno")
        return int(self.under.fileno())

    def write(self, data: Any) -> int:
        view = memoryview(data)
        if self.under is None and self.failure is None:
            self.failure = OSError("it is closed")
        try:
            while view.nbytes and self.is_open:
                written = self.under.write(view)
                if written is None:  # a pipe that does not block, and is full
                    select.select([], [self.under], [])
                else:
                    view = view[written:]
        except BrokenPipeError:
            self.is_open = False
        except (OSError, ValueError) as error:
            self.is_open = False
            self.failure = error if isinstance(error, OSError) else OSError(str(error))
        return len(data)


def guarded_stream(stream: Any) -> tuple[io.TextIOWrapper, Outlet]:
    """A text stream in place of another, in which what the encoding lacks is spelled out, and its outlet."""
    buffer = getattr(stream, "buffer", None)
    outlet = Outlet(getattr(buffer, "raw", buffer))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    buffered = io.BufferedWriter(outlet)
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=outlet.isatty()), outlet


def open_missing_descriptors() -> None:
    """Opens /dev/null where a standard stream is closed: a file of ours would get its number, and what is printed."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


def flush_all() -> None:
    """Writes what is still held back."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
