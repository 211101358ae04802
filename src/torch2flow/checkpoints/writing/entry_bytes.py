"""Moves the bytes of an entry into an open file: inside the kernel where nothing changes, by chunks elsewhere."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator

from torch2flow.checkpoints.writing.conversion_plan import Entry
from torch2flow.checkpoints.writing.kernel_copy import BUFFER, copy_range, write_all
from torch2flow.errors import FormatError

Progress = Callable[[int], None]


def write_entry(entry: Entry, fd: int, progress: Progress, hashing: bool = False) -> None:
    """Appends the entry's bytes to `fd`.

    Args:
        entry: what to write; with `hashing` its `sha256` is set.
        fd: a file opened for writing, at the right position.
        progress: called with the number of bytes after each part.
        hashing: also compute a sha256, and compare the checksum that the source archive carries.

    Raises:
        FormatError: the checksum is wrong.
        SourceChangedError: the source became shorter.
        SourceReadError: it can't be read.
        OSError: the target can't be written.
    """
    plain = entry.plain
    if hashing:
        entry.sha256 = _write_hashed(entry, fd, progress)
    elif plain is None:
        for chunk in entry.chunks():
            write_all(fd, chunk.view("u1").data)  # NumPy exports no buffer of bfloat16
            progress(chunk.nbytes)
    elif plain.storage.file is None:
        write_all(fd, plain.storage.read(plain.byte_offset, entry.nbytes))
        progress(entry.nbytes)
    else:
        with plain.storage.file.opened() as source:
            copy_range(source, plain.storage.offset + plain.byte_offset, fd, entry.nbytes, progress)


def entry_parts(entry: Entry) -> Iterator[bytes]:
    """The bytes of an entry, a few MiB at a time.

    Raises:
        FormatError: the source can't be read.
    """
    plain = entry.plain
    if plain is None:
        yield from (chunk.tobytes() for chunk in entry.chunks())
        return
    for start in range(0, entry.nbytes, BUFFER):
        yield plain.storage.read(plain.byte_offset + start, min(BUFFER, entry.nbytes - start))


def _write_hashed(entry: Entry, fd: int, progress: Progress) -> str:
    digest, crc = hashlib.sha256(), 0
    plain = entry.plain
    for part in entry_parts(entry):
        digest.update(part)
        crc = zlib.crc32(part, crc)
        write_all(fd, part)
        progress(len(part))
    if entry.crc32 is not None and entry.crc32 != crc:
        raise FormatError(
            f"The bytes of {entry.names[0][:200]!r} don't have the checksum that the archive states.",
            where=str(plain.storage.file.path) if plain is not None and plain.storage.file else "",
            maybe="the file was damaged on disk or on its way",
            remedy="fetch it again, or convert without --hash to take it as it is",
        )
    return digest.hexdigest()
