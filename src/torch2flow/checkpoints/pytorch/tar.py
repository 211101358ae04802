"""The oldest form of `torch.save` (before 0.1.10): a tar with `sys_info`, `pickle`, `storages` and `tensors`.

    storages   pickle N, then N times: pickle (key, location, class), int64 count, raw elements;
               then pickle of views [(target, root, offset, count), ...]
    tensors    pickle N, then N times: pickle (key, storage key, class), int32 ndim, 4 unused bytes,
               int64 sizes, int64 strides, int64 storage offset
    pickle     the object; a persistent id is the key of a tensor or storage

Follows `torch/serialization.py` (`legacy_load` inside `_legacy_load`; 1.0 to 2.13). Read in place: nothing is
unpacked to disk.
"""

from __future__ import annotations

import struct
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.pickles import PersistentLoad, label
from torch2flow.checkpoints.pytorch.constructors import TypedStorage, storage_dtype
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.legacy import load_pickle_at
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import Storage, TensorRef
from torch2flow.errors import FormatError

MEMBERS = ("sys_info", "pickle", "storages", "tensors")
BLOCK = 512
WINDOW = 1 << 10  # most pickles in a tar are one short tuple


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are a tar header."""
    return head[257:262] == b"ustar"


def find_members(file: SourceFile) -> dict[str, tuple[int, int]]:
    """Offset and length of each member (POSIX.1-1988 ustar header: name at 0, octal size at 124)."""
    members: dict[str, tuple[int, int]] = {}
    at = 0
    while at + BLOCK <= file.size:
        header = file.read(at, BLOCK, "a tar header")
        if not header.strip(b"\0"):
            break
        name = header[:100].split(b"\0")[0].decode("utf-8", "replace").removeprefix("./")
        digits = header[124:136].strip(b"\0 ")
        if header[257:262] != b"ustar" or not digits or digits.strip(b"01234567"):
            raise FormatError("The tar archive is damaged.", where=f"{file.path}, byte {at}")
        size = int(digits, 8)
        if at + BLOCK + size > file.size:
            raise FormatError(f"The tar archive is cut off inside its member {name!r}.", where=str(file.path))
        if name in members:
            raise FormatError(f"The tar archive holds the member {name!r} twice.", where=str(file.path))
        if header[156:157] in (b"0", b"\0"):
            members[name] = (at + BLOCK, size)
        at += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
    return members


def refuse_reference(pid: Any) -> Any:
    """Refuses a persistent id: the pickles of keys and counts refer to nothing outside."""
    raise FormatError("A pickle refers to an object outside it where PyTorch never does.")


class _Cursor:
    """Reads pickles and numbers one after the other out of one member."""

    def __init__(self, file: SourceFile, offset: int, size: int) -> None:
        self.file, self.at, self.stop = file, offset, offset + size
        self.opaque: dict[str, int] = {}

    def pickle(self, persistent_load: PersistentLoad = refuse_reference) -> Any:
        value, machine = load_pickle_at(self.file, self.at, self.stop, persistent_load, WINDOW)
        self.at += machine.end
        self.opaque = machine.opaque
        return value

    def numbers(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        if self.at + size > self.stop:
            raise FormatError("A member of the tar archive is cut off.", where=f"{self.file.path}, byte {self.at}")
        values = struct.unpack(layout, self.file.read(self.at, size))
        self.at += size
        return values


def _read_storages(cursor: _Cursor) -> dict[str, TypedStorage]:
    found: dict[str, TypedStorage] = {}
    for _ in range(_count(cursor)):
        key, _location, storage_class = cursor.pickle()
        key = _key(key)
        dtype = storage_dtype(storage_class)
        (count,) = cursor.numbers("<q")
        nbytes = count * (dtype or DTYPES["uint8"]).itemsize
        if not 0 <= nbytes <= cursor.stop - cursor.at:
            raise FormatError(f"Storage {key[:100]!r} reaches outside its member.", where=str(cursor.file.path))
        found[key] = TypedStorage(Storage(key, nbytes, cursor.file, cursor.at), dtype, 0, count)
        cursor.at += nbytes
    for target, root, offset, count in cursor.pickle():
        base = found[_key(root)]
        found[_key(target)] = TypedStorage(base.storage, base.dtype, offset, count)
    return found


def _read_tensors(cursor: _Cursor, storages: dict[str, TypedStorage]) -> dict[str, TensorRef]:
    found: dict[str, TensorRef] = {}
    for _ in range(_count(cursor)):
        key, storage_key, _class = cursor.pickle()
        key, storage_key = _key(key), _key(storage_key)
        (ndim,) = cursor.numbers("<i")
        cursor.numbers("<4x")
        if not 0 <= ndim <= 64:
            raise FormatError(f"A tensor has {ndim} dimensions.", where=str(cursor.file.path))
        numbers = cursor.numbers(f"<{2 * ndim + 1}q")
        base = storages[storage_key]
        dtype = base.dtype or DTYPES["uint8"]
        shape, stride = tuple(numbers[:ndim]), tuple(numbers[ndim : 2 * ndim])
        found[key] = TensorRef(dtype, shape, stride, base.first + numbers[-1], base.storage)
    return found


def _key(value: Any) -> str:
    if not isinstance(value, str | int):
        raise ValueError("a key is neither text nor a number")
    return str(value)


def _count(cursor: _Cursor) -> int:
    count = cursor.pickle()
    if type(count) is not int or not 0 <= count <= cursor.stop - cursor.at:
        raise FormatError(
            "A member of the tar archive states an absurd number of entries.", where=str(cursor.file.path)
        )
    return count


def open_tar(file: SourceFile) -> Container:
    """A tar file of the first PyTorch versions."""
    members = find_members(file)
    missing = [name for name in MEMBERS[1:] if name not in members]
    if missing:
        raise FormatError(
            f"This tar archive is no PyTorch checkpoint: it has no member {missing[0]!r}.",
            where=str(file.path),
            remedy="unpack it and give the checkpoint inside",
        )
    try:
        storages = _read_storages(_Cursor(file, *members["storages"]))
        tensors = _read_tensors(_Cursor(file, *members["tensors"]), storages)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"The tar archive contradicts itself ({error}).", where=str(file.path)) from None

    def persistent_load(pid: Any) -> Any:
        if isinstance(pid, tuple):
            return pid[0]  # a module's class, with its source
        known = tensors.get(label(pid)) or storages.get(label(pid))
        if known is None:
            raise FormatError(
                f"The pickle refers to a tensor {label(pid)[:100]!r} that is not there.", where=str(file.path)
            )
        return known

    cursor = _Cursor(file, *members["pickle"])
    root = cursor.pickle(persistent_load)
    return Container("tar", root, [file], "PyTorch before 0.1.10", cursor.opaque)
