"""`torch.save` since 1.6: a zip with one pickle and one record a storage. Also 1.4's and TorchScript's forms.

    stem/data.pkl          the object, protocol 2; tensors are calls, storages persistent ids
    stem/data/0 ...        one record a storage (1.4: stem/tensors/...)
    stem/byteorder         "little" or "big", from 2.1 on
    stem/version           container version
    stem/constants.pkl     only in TorchScript archives, with stem/code/

Follows `torch/serialization.py` (`_save`, `_load`; 1.4 to 2.13).
"""

from __future__ import annotations

from typing import Any

from torch2flow.checkpoints.dtypes import DType
from torch2flow.checkpoints.pickles import Global
from torch2flow.checkpoints.pytorch.constructors import TypedStorage, storage_dtype
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.legacy import load_pickle_at
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import Storage
from torch2flow.checkpoints.pytorch.torchscript import as_modules, read_members
from torch2flow.checkpoints.pytorch.zip import ZipArchive
from torch2flow.errors import FormatError

WHOLE_PICKLE = 64 << 20
"""How many bytes of a pickle are read at first: enough for any real one, and little of a hostile one of gigabytes."""


def find_pickle(archive: ZipArchive, name: str = "data.pkl") -> str | None:
    """Finds the record `STEM/data.pkl`; STEM is the name that the file had first, and can be anything."""
    found = [entry for entry in archive.records if entry.rpartition("/")[2] == name and entry.count("/") <= 1]
    if len(found) > 1:
        raise FormatError(
            f"The archive has {len(found)} records named {name}.",
            where=str(archive.file.path),
            maybe="it was made to show two readers two different contents",
        )
    return found[0] if found else None


class PickleArchive:
    """One pickle of an archive, and the storages its persistent ids name.

    Args:
        archive: the zip.
        pickle: the record that holds the pickle.
        folders: where the storages' records lie, relative to the stem.
    """

    def __init__(self, archive: ZipArchive, pickle: str, folders: tuple[str, ...] = ("data", "tensors")) -> None:
        self.archive, self.pickle = archive, pickle
        self.stem = pickle.rpartition("/")[0] + "/" if "/" in pickle else ""
        self.folders = folders
        self.storages: dict[str, Storage] = {}
        self.dtypes: dict[Any, DType | None] = {}
        order = f"{self.stem}byteorder"
        self.big_endian = order in archive and archive.read(order, 64).strip() == b"big"

    def load(self) -> tuple[Any, dict[str, int]]:
        """The object, and how often each unknown class was met."""
        offset, size = self.archive.range(self.pickle)
        where = f"{self.archive.file.path}, record {self.pickle}"
        value, machine = load_pickle_at(
            self.archive.file, offset, offset + size, self._persistent_load, WHOLE_PICKLE, where
        )
        return value, machine.opaque

    def _persistent_load(self, pid: Any) -> TypedStorage:
        """`('storage', storage class, key, location, number of elements)`."""
        if not (
            isinstance(pid, tuple)
            and len(pid) >= 5
            and pid[0] == "storage"
            and isinstance(pid[1], Global | str)
            and type(pid[2]) is str
            and type(pid[4]) is int
        ):
            raise FormatError("The pickle refers to something that is no storage.", where=self.pickle)
        _, storage_class, key, _, numel, *_ = pid
        if storage_class not in self.dtypes:
            self.dtypes[storage_class] = storage_dtype(storage_class)
        dtype = self.dtypes[storage_class]
        storage = self.storages.get(key)
        if storage is None:
            storage = self.storages[key] = self._find(key)
        if numel * (dtype.itemsize if dtype else 1) != storage.nbytes:
            raise FormatError(
                f"Storage {key[:100]!r} should hold {numel} elements of {dtype or 'bytes'}, "
                f"its record has {storage.nbytes} bytes.",
                where=str(self.archive.file.path),
                maybe="the file is damaged, or was made to read memory that is not its own",
            )
        return TypedStorage(storage, dtype, 0, numel)

    def _find(self, key: str) -> Storage:
        for folder in self.folders:
            name = f"{self.stem}{folder}/{key}"
            record = self.archive.records.get(name)
            if record is not None:
                offset, size = self.archive.range(name)
                crc = record.crc32 or None  # 0: written without checksums
                return Storage(key, size, self.archive.file, offset, None, crc, self.big_endian)
        raise FormatError(
            f"The record of storage {key[:100]!r} is missing from the archive.",
            where=str(self.archive.file.path),
            maybe="the file is damaged or was edited",
        )


def open_archive(archive: ZipArchive, pickle: str) -> Container:
    """A file of `torch.save`, or the weights of a TorchScript archive."""
    script = find_pickle(archive, "constants.pkl")
    reader = PickleArchive(archive, pickle)
    root, opaque = reader.load()
    left_out = as_modules(root, read_members(archive, reader.stem)) if script else []
    version = f"{reader.stem}version"
    number = archive.read(version, 64).strip().decode("ascii", "replace") if version in archive else "?"
    return Container(
        "torchscript" if script else "zip",
        root,
        [archive.file],
        producer=f"PyTorch {'1.4 or newer' if script or number == '1' else '1.6 or newer'}, archive version {number}"
        + (", big endian" if reader.big_endian else ""),
        opaque=opaque,
        notes=[f"a plain attribute, neither parameter nor buffer, was left out: {name}" for name in left_out],
    )


def open_bytes_range(file: SourceFile, base: int, length: int, met: dict[str, int]) -> Any:
    """The object in a file of `torch.save` that lies inside another: a distributed checkpoint's piece.

    Args:
        file: the file.
        base: byte at which the inner file starts.
        length: its length.
        met: gets how often each unknown class was met, added to what it holds.
    """
    archive = ZipArchive(file, base, length)
    pickle = find_pickle(archive)
    if pickle is None:
        raise FormatError("A part of the checkpoint holds no pickle.", where=f"{file.path}, byte {base}")
    value, opaque = PickleArchive(archive, pickle).load()
    for name, count in opaque.items():
        met[name] = met.get(name, 0) + count
    return value
