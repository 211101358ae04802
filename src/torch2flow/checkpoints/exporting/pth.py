"""Writes the zip of `torch.save` (1.6 on) in a form that `torch.load(weights_only=True)` reads.

    stem/data.pkl, stem/byteorder, stem/data/0 ..., stem/version

Follows `torch/serialization.py` (`_save`, `_load`; 2.13) and `caffe2/serialize/inline_container.cc`: records
are stored uncompressed and begin at multiples of 64 bytes, which padding in the local header's extra field
brings about; sizes and checksums are in the central directory alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.dtypes import DType, find_dtype
from torch2flow.checkpoints.pickles import Global, Name, PickledCall, write_pickle
from torch2flow.checkpoints.pickles.writer import PersistentId
from torch2flow.checkpoints.pytorch.arrays import NumpyArray, NumpyDType
from torch2flow.checkpoints.pytorch.constructors import Size
from torch2flow.checkpoints.pytorch.tensor import contiguous_stride
from torch2flow.checkpoints.writing import ConversionPlan, Entry
from torch2flow.checkpoints.writing.entry_bytes import Progress, write_entry
from torch2flow.checkpoints.writing.kernel_copy import create, write_all

ALIGNMENT = 64
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4sHHHHIIH")
FULL = 0xFFFFFFFF


def write_pth(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes the object with its tensors; tied tensors share a storage, as they do in PyTorch's own files.

    Raises:
        FormatError: the source is damaged.
        OSError: the file can't be written.
    """
    fd = create(path)
    try:
        append_archive(fd, 0, plan.tree, plan.entries, plan.identify, progress, hashing)
    finally:
        os.close(fd)


def append_archive(
    fd: int,
    start: int,
    tree: Any,
    entries: list[Entry],
    identify: Callable[[Any], Any],
    progress: Progress,
    hashing: bool = False,
) -> int:
    """Appends what `torch.save(tree)` would write to a file that is `start` bytes long; returns its length."""
    stem = "archive"
    archive = _ArchiveWriter(fd, start)
    keys = {id(entry): str(number) for number, entry in enumerate(entries)}

    def replace(value: Any) -> Any:
        return _tensor(value, keys[id(value)]) if isinstance(value, Entry) else _other(value)

    archive.add(f"{stem}/data.pkl", write_pickle(tree, replace, identify, protocol=2))
    archive.add(f"{stem}/byteorder", b"little")
    for entry in entries:
        archive.begin(f"{stem}/data/{keys[id(entry)]}", entry.nbytes)
        write_entry(entry, fd, progress, hashing)
        archive.end(entry.crc32)
    archive.add(f"{stem}/version", b"3\n")
    return archive.finish()


def _storage_class(dtype: DType) -> Name:
    return Name(f"torch.{dtype.storage}Storage") if dtype.storage else Name("torch.storage.UntypedStorage")


def _tensor(entry: Entry, key: str) -> PickledCall:
    """A tensor as the call of PyTorch's rebuild function; its storage is the record of that key."""
    count = entry.nbytes // (entry.dtype.itemsize if entry.dtype.storage else 1)
    pid = ("storage", _storage_class(entry.dtype), key, "cpu", count)
    hooks = PickledCall(Name("collections.OrderedDict"))
    parameter, grad = entry.tensor.is_parameter, bool(entry.tensor.requires_grad)
    args = (PersistentId(pid), 0, entry.shape, contiguous_stride(entry.shape), grad and not parameter, hooks)
    if entry.dtype.storage:
        call = PickledCall(Name("torch._utils._rebuild_tensor_v2"), args)
    else:
        call = PickledCall(Name("torch._utils._rebuild_tensor_v3"), (*args, Name(f"torch.{entry.dtype}")))
    return PickledCall(Name("torch._utils._rebuild_parameter"), (call, grad, hooks)) if parameter else call


def _other(value: Any) -> Any:
    if isinstance(value, NumpyArray | NumpyDType):
        return value.call()
    if isinstance(value, Size):
        return PickledCall(Name("torch.Size"), (tuple(value),))
    if isinstance(value, Global):
        return Name(value.name) if value.name.startswith("torch.") and find_dtype(value.name) else value.name
    return value


class _ArchiveWriter:
    """A zip64 archive whose records are aligned, written front to back, from a place in a file on."""

    def __init__(self, fd: int, start: int) -> None:
        self.fd, self.start, self.at = fd, start, 0
        self.central: list[bytes] = []
        self.open: tuple[bytes, int, int] = (b"", 0, 0)

    def add(self, name: str, data: bytes) -> None:
        self.begin(name, len(data))
        write_all(self.fd, data)
        self.end(None)

    def begin(self, name: str, size: int) -> None:
        """Writes the local header of a record of `size` bytes, padded so that they begin at a multiple of 64."""
        raw = name.encode()
        start = self.at + _LOCAL.size + len(raw)
        padding = -start % ALIGNMENT
        padding += ALIGNMENT if 0 < padding < 4 else 0
        extra = b"FB" + struct.pack("<H", padding - 4) + b"Z" * (padding - 4) if padding else b""
        large = size >= FULL
        header = _LOCAL.pack(b"PK\x03\x04", 45 if large else 0, 0x0808, 0, 0, 0x21, 0, 0, 0, len(raw), len(extra))
        write_all(self.fd, header + raw + extra)
        self.open = (raw, self.at, size)
        self.at = start + len(extra)

    def end(self, crc32: int | None) -> None:
        """Closes the record; its checksum is computed from the file unless it is known."""
        name, offset, size = self.open
        crc = crc32 if crc32 is not None else self._crc(self.start + self.at, size)
        descriptor = struct.pack("<4sIQQ" if size >= FULL else "<4sIII", b"PK\x07\x08", crc, size, size)
        write_all(self.fd, descriptor)
        self.at += size + len(descriptor)
        wide = [value for value in (size, size, offset) if value >= FULL]
        extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        short = min(size, FULL)
        self.central.append(
            _CENTRAL.pack(
                b"PK\x01\x02",
                45,
                45 if wide else 0,
                0x0808,
                0,
                0,
                0x21,
                crc,
                short,
                short,
                len(name),
                len(extra),
                0,
                0,
                0,
                0,
                min(offset, FULL),
            )  # fmt: skip
            + name
            + extra
        )

    def _crc(self, offset: int, size: int) -> int:
        import zlib

        crc = 0
        while size:
            chunk = os.pread(self.fd, min(size, 1 << 20), offset)
            crc = zlib.crc32(chunk, crc)
            offset, size = offset + len(chunk), size - len(chunk)
        return crc

    def finish(self) -> int:
        """Writes the central directory and both of its end records; PyTorch always writes the zip64 one."""
        directory = b"".join(self.central)
        count, start = len(self.central), self.at
        end64 = _END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), start)
        locator = _END64_LOCATOR.pack(b"PK\x06\x07", 0, start + len(directory), 1)
        short = min(count, 0xFFFF)
        end = _END.pack(b"PK\x05\x06", 0, 0, short, short, min(len(directory), FULL), min(start, FULL), 0)
        write_all(self.fd, directory + end64 + locator + end)
        return start + len(directory) + len(end64) + len(locator) + len(end)
