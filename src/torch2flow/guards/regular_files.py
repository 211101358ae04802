"""Opens a file for reading, and nothing that only has a file's name.

A FIFO would wait for ever, a device may do something as soon as it is opened, and neither has an end.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from torch2flow.errors import FormatError

SMALL = 1 << 24
"""Bytes of the largest file that a person writes: rules, plans, configurations."""


def open_regular(path: str | os.PathLike[str]) -> int:
    """A descriptor of a regular file, for reading.

    Raises:
        FormatError: it does not exist, can't be read, or is no regular file.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise _irregular(path)
        # What the name stands for may change in between: O_NONBLOCK does not wait for the writer of a FIFO.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FormatError(
            f"The file can't be opened: {reason}.", where=str(path), remedy="check the path and permissions"
        ) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _irregular(path)
    return fd


def read_whole(path: str | os.PathLike[str], most: int = SMALL) -> bytes:
    """All bytes of a regular file.

    Raises:
        FormatError: it can't be read, is no regular file, or has more than `most` bytes.
    """
    with open(open_regular(path), "rb") as stream:
        try:
            data = stream.read(most + 1)
        except OSError as error:
            raise FormatError(f"The file can't be read: {error.strerror}.", where=str(path)) from None
    if len(data) > most:
        raise FormatError(f"The file has more than {most} bytes, and no real one has.", where=str(path))
    return data


def file_digest(path: Path) -> str:
    """The sha256 of a file, which may be larger than the memory.

    Raises:
        OSError: it can't be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a small regular file, which is UTF-8.

    Raises:
        FormatError: it can't be read, is no regular file, is too large, or is no such text.
    """
    data = read_whole(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"The file is no UTF-8 text: byte {error.start} fits none.", where=str(path)) from None


def is_regular(path: Path) -> bool:
    """Whether there is a regular file; False also where that can't be told, such as for a name that is too long."""
    return os.path.isfile(path)


def _irregular(path: str | os.PathLike[str]) -> FormatError:
    return FormatError(
        "This is not a regular file.",
        where=str(path),
        remedy="give the checkpoint file itself, or a folder in a format torch2flow knows",
    )
