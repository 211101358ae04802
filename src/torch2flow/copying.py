"""Moves the bytes of an entry into an open file: inside the kernel where nothing changes, by chunks elsewhere."""

from __future__ import annotations

import errno
import hashlib
import os
import zlib
from collections.abc import Callable

from torch2flow.errors import FormatError
from torch2flow.plan import Entry

SLICE = 64 << 20
"""Bytes moved per call: between two, the progress bar moves and Ctrl-C is seen."""

BUFFER = 1 << 20
Progress = Callable[[int], None]

_NOT_HERE = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF)


def write_entry(entry: Entry, fd: int, progress: Progress, hashing: bool = False) -> None:
    """Appends the entry's bytes to `fd`.

    Args:
        entry: what to write; with `hashing` its `sha256` is set.
        fd: a file opened for writing, at the right position.
        progress: called with the number of bytes after each part.
        hashing: also compute a sha256, and compare the checksum that the source archive carries.

    Raises:
        FormatError: the source is shorter than stated, or its checksum is wrong.
        OSError: the target can't be written.
    """
    plain = entry.plain
    if hashing:
        entry.sha256 = _write_hashed(entry, fd, progress)
    elif plain is None:
        for chunk in entry.chunks():
            write_all(fd, memoryview(chunk).cast("B") if chunk.flags.c_contiguous else chunk.tobytes())
            progress(chunk.nbytes)
    elif plain.storage.file is None:
        write_all(fd, plain.storage.read(plain.byte_offset, entry.nbytes))
        progress(entry.nbytes)
    else:
        with plain.storage.file.opened() as source:
            copy_range(source, plain.storage.offset + plain.byte_offset, fd, entry.nbytes, progress)


def copy_range(source: int, offset: int, target: int, count: int, progress: Progress) -> None:
    """Appends `count` bytes of one file, from `offset` on, to another, without passing them through Python.

    Raises:
        FormatError: the source ends early.
        OSError: the target can't be written.
    """
    methods = [_copy_file_range, _sendfile, _read_write] if hasattr(os, "copy_file_range") else [_read_write]
    while count:
        try:
            moved = methods[0](source, offset, target, min(count, SLICE))
        except OSError as error:
            if error.errno in _NOT_HERE and len(methods) > 1:
                methods.pop(0)  # another file system, or none of the kernel's ways
                continue
            raise
        if moved == 0:
            raise FormatError("The source file became shorter while it was copied.")
        offset, count = offset + moved, count - moved
        progress(moved)


def _copy_file_range(source: int, offset: int, target: int, count: int) -> int:
    return os.copy_file_range(source, target, count, offset_src=offset)


def _sendfile(source: int, offset: int, target: int, count: int) -> int:
    return os.sendfile(target, source, offset, count)


def _read_write(source: int, offset: int, target: int, count: int) -> int:
    chunk = os.pread(source, min(count, BUFFER), offset)
    write_all(target, chunk)
    return len(chunk)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes all of `data`, however little the kernel takes at once."""
    view = memoryview(data)
    while view.nbytes:
        view = view[os.write(fd, view) :]


def _write_hashed(entry: Entry, fd: int, progress: Progress) -> str:
    digest, crc = hashlib.sha256(), 0
    plain = entry.plain
    if plain is not None:
        parts = (
            plain.storage.read(plain.byte_offset + start, min(BUFFER, entry.nbytes - start))
            for start in range(0, entry.nbytes, BUFFER)
        )
    else:
        parts = (chunk.tobytes() for chunk in entry.chunks())
    for part in parts:
        digest.update(part)
        crc = zlib.crc32(part, crc)
        write_all(fd, part)
        progress(len(part))
    if entry.crc32 is not None and entry.crc32 != crc:
        raise FormatError(
            f"The bytes of {entry.source_names[0][:200]!r} don't have the checksum that the archive states.",
            where=str(plain.storage.file.path) if plain is not None and plain.storage.file else "",
            maybe="the file was damaged on disk or on its way",
            remedy="fetch it again, or convert without --hash to take it as it is",
        )
    return digest.hexdigest()
