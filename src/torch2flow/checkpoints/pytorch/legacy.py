"""`torch.save` before 1.6, and still with `_use_new_zipfile_serialization=False`: five pickles, then raw storages.

    pickle 0x1950a86a20f9469cfc6c      the magic number
    pickle 1001                        protocol
    pickle {...}                       system: little_endian, sizes of C types
    pickle object                      tensors are calls, storages persistent ids
    pickle ['940...', ...]             the storages' keys, in the order in which they follow
    int64 count, raw elements          for each of them

Follows `torch/serialization.py` (`_legacy_save`, `_legacy_load`; 1.0 to 2.13).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.pickles import Constructor, Machine, PersistentLoad, run_stream
from torch2flow.checkpoints.pytorch.constructors import CONSTRUCTORS, TypedStorage, storage_dtype
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import Storage
from torch2flow.errors import FormatError

MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
PREFIX = MAGIC[2:14]
"""The bytes of the magic number that are the same in every pickle protocol."""

FIRST_WINDOW = 1 << 16
LARGEST_PICKLE = 1 << 30
"""Bytes of the longest pickle that is read; what it describes is many times larger in memory."""


def load_pickle_at(
    file: SourceFile,
    start: int,
    stop: int,
    persistent_load: PersistentLoad | None = None,
    first_window: int = FIRST_WINDOW,
    where: str = "",
    constructors: Mapping[str, Constructor] = CONSTRUCTORS,
) -> tuple[Any, Machine]:
    """The object pickled at byte `start`, and the machine that read it, which knows where it ended.

    The length of a pickle is stated nowhere, so it is read through a window that grows as it asks for more.

    Args:
        file: where it lies.
        start: its first byte.
        stop: the byte behind everything that may belong to it.
        persistent_load: what its persistent ids stand for.
        first_window: how many bytes are read at first; most pickles should fit.
        where: names it in errors.
        constructors: what its calls build.

    Raises:
        FormatError: it is broken, hostile, or longer than `LARGEST_PICKLE`.
    """
    rest = stop - start
    window = min(first_window, rest)
    where = where or f"{file.path}, pickle at byte {start}"
    while True:
        data = file.read(start, window, "a pickle")
        machine = Machine(data, constructors=constructors, persistent_load=persistent_load, where=where)
        try:
            return run_stream(machine), machine
        except FormatError:
            if window >= rest or not 0 < machine.starved <= rest:
                raise
            if machine.starved > LARGEST_PICKLE:
                raise FormatError(
                    f"The pickle is longer than any that torch2flow reads ({LARGEST_PICKLE} bytes).",
                    where=where,
                    maybe="the file is damaged, or was made to exhaust memory",
                ) from None
            window = min(rest, LARGEST_PICKLE, max(8 * window, machine.starved))


class LegacyStream:
    """The stream's pickles and the storages they name, found by one walk: the format has no index."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.storages: dict[str, tuple[Storage, int]] = {}
        self.big_endian = False
        self.opaque: dict[str, int] = {}

    def load(self) -> Any:
        """The object, with every storage's place filled in."""
        magic, at = self.read_pickle(0)
        protocol, at = self.read_pickle(at)
        system, at = self.read_pickle(at)
        if magic != 0x1950A86A20F9469CFC6C or protocol != 1001 or not isinstance(system, dict):
            raise FormatError("The legacy stream has a header that PyTorch never wrote.", where=str(self.file.path))
        self.big_endian = not system.get("little_endian", True)
        root, at = self.read_pickle(at)
        keys, at = self.read_pickle(at)
        self._place(keys, at)
        return root

    def read_pickle(self, start: int) -> tuple[Any, int]:
        """The object pickled at byte `start`, and the byte behind it."""
        value, machine = load_pickle_at(self.file, start, self.file.size, self._persistent_load)
        for name, count in machine.opaque.items():
            self.opaque[name] = self.opaque.get(name, 0) + count
        return value, start + machine.end

    def _persistent_load(self, pid: Any) -> Any:
        """`('storage', class, key, location, numel, view)` or `('module', class, file, source)`."""
        if isinstance(pid, tuple) and len(pid) >= 2 and pid[0] == "module":
            return pid[1]  # the class of a pickled module, with its source beside it for a warning
        if not (
            isinstance(pid, tuple)
            and len(pid) >= 5
            and pid[0] == "storage"
            and type(pid[2]) in (str, int)
            and type(pid[4]) is int
        ):
            raise FormatError("The pickle refers to something that is no storage.", where=str(self.file.path))
        dtype = storage_dtype(pid[1])
        item = (dtype or DTYPES["uint8"]).itemsize
        key = str(pid[2])
        if not 0 <= pid[4] * item <= self.file.size:
            raise FormatError(
                f"Storage {key[:100]!r} should hold {pid[4]} elements, more than the whole file.",
                where=str(self.file.path),
                maybe="the file is cut off, or was made to exhaust memory",
            )
        if key not in self.storages:
            self.storages[key] = (Storage(key, pid[4] * item, self.file, big_endian=self.big_endian), item)
        storage, _ = self.storages[key]
        view = pid[5] if len(pid) > 5 else None
        if view is None:
            return TypedStorage(storage, dtype, 0, pid[4])
        _, first, count = view
        return TypedStorage(storage, dtype, first, count)

    def _place(self, keys: Any, at: int) -> None:
        sound = isinstance(keys, list) and all(type(key) in (str, int) for key in keys)
        if not sound or len(set(map(str, keys))) != len(keys):
            raise FormatError("The list of storages is damaged.", where=f"{self.file.path}, byte {at}")
        for key in map(str, keys):
            if key not in self.storages:
                raise FormatError(
                    f"The file lists a storage {key[:100]!r} that no tensor uses.", where=str(self.file.path)
                )
            storage, item = self.storages[key]
            order = ">q" if self.big_endian else "<q"
            (count,) = struct.unpack(order, self.file.read(at, 8, "a storage's length"))
            if count * item != storage.nbytes:
                raise FormatError(
                    f"Storage {key[:100]!r} has {count} elements here and {storage.nbytes // item} in the pickle.",
                    where=f"{self.file.path}, byte {at}",
                    maybe="the file is damaged or cut off",
                )
            storage.offset = at + 8
            self.file.read(storage.offset + storage.nbytes, 0, f"storage {key[:100]!r}")
            at = storage.offset + storage.nbytes
        missing = [key for key, (storage, _) in self.storages.items() if storage.offset < 0]
        if missing:
            raise FormatError(
                f"The bytes of storage {missing[0][:100]!r} are not in the file ({len(missing)} missing).",
                where=str(self.file.path),
                maybe="the file is cut off",
            )


def open_legacy(file: SourceFile) -> Container:
    """A file of `torch.save` in the legacy form."""
    stream = LegacyStream(file)
    root = stream.load()
    producer = "PyTorch 0.1.10 to 1.5, or newer with _use_new_zipfile_serialization=False"
    return Container("legacy", root, [file], producer + (", big endian" if stream.big_endian else ""), stream.opaque)
