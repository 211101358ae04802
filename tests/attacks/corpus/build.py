"""Files put together by hand: pickle opcodes, zip archives that lie, legacy streams, tars, safetensors.

Each opcode helper returns bytes, so that a stream is a sum of its parts. Layouts as in `docs/formats.md`.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

FOUR = struct.pack("<4f", 1, 2, 3, 4)
"""The bytes of a storage of four float32."""

# -- pickle opcodes --------------------------------------------------------------------------------------------


def stream(body: bytes, protocol: int = 2) -> bytes:
    """PROTO, body, STOP."""
    return b"\x80" + bytes((protocol,)) + body + b"."


def name(dotted: str) -> bytes:
    """GLOBAL."""
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    """BININT or LONG1."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes((len(raw),)) + raw


def put(index: int) -> bytes:
    """LONG_BINPUT."""
    return b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    """LONG_BINGET."""
    return b"j" + struct.pack("<I", index)


def tuple_of(*items: bytes) -> bytes:
    """MARK, items, TUPLE."""
    return b"(" + b"".join(items) + b"t"


def list_of(*items: bytes) -> bytes:
    """EMPTY_LIST, MARK, items, APPENDS."""
    return b"](" + b"".join(items) + b"e"


def dict_of(*pairs: tuple[bytes, bytes]) -> bytes:
    """EMPTY_DICT, MARK, keys and values, SETITEMS."""
    return b"}(" + b"".join(key + value for key, value in pairs) + b"u"


def call(function: str | bytes, *args: bytes) -> bytes:
    """REDUCE."""
    return (name(function) if isinstance(function, str) else function) + tuple_of(*args) + b"R"


def numbers(values: Iterable[int]) -> bytes:
    """A tuple of integers."""
    return tuple_of(*(number(value) for value in values))


def storage(key: str | bytes = "0", numel: int = 4, kind: str = "torch.FloatStorage") -> bytes:
    """The persistent id of a storage."""
    key = text(key) if isinstance(key, str) else key
    return tuple_of(text("storage"), name(kind), key, text("cpu"), number(numel)) + b"Q"


def tensor(
    shape: Sequence[int] = (4,), stride: Sequence[int] = (1,), offset: int = 0, data: bytes | None = None
) -> bytes:
    """`_rebuild_tensor_v2` over a storage."""
    data = storage() if data is None else data
    hooks = call("collections.OrderedDict")
    args = (data, number(offset), numbers(shape), numbers(stride), b"\x89", hooks)
    return call("torch._utils._rebuild_tensor_v2", *args)


# -- zip -------------------------------------------------------------------------------------------------------


@dataclass
class Entry:
    """A record of a zip; what is not None lies."""

    name: str | bytes
    data: bytes = b""
    local_name: bytes | None = None
    method: int = 0
    flags: int = 0
    local_flags: int | None = None
    size: int | None = None
    packed: int | None = None
    crc: int = 0
    offset: int | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    magic: bytes = b"PK\x03\x04"
    in_directory: bool = True


def zip_file(
    entries: Sequence[Entry],
    *,
    count: int | None = None,
    start: int | None = None,
    size: int | None = None,
    comment: bytes = b"",
    zip64: bytes | None = None,
) -> bytes:
    """An archive; `count`, `start` and `size` of its directory can lie, `zip64` replaces both zip64 records."""
    out, directory = bytearray(), bytearray()
    for entry in entries:
        offset = len(out) if entry.offset is None else entry.offset
        raw_name = entry.name.encode() if isinstance(entry.name, str) else entry.name
        local_name = raw_name if entry.local_name is None else entry.local_name
        flags = entry.flags if entry.local_flags is None else entry.local_flags
        local = (20, flags, entry.method, 0, 0, 0, 0, 0, len(local_name), len(entry.local_extra))
        out += entry.magic + struct.pack("<HHHHHIIIHH", *local) + local_name + entry.local_extra + entry.data
        unpacked = len(entry.data) if entry.size is None else entry.size
        packed = unpacked if entry.packed is None else entry.packed
        central = (
            *(20, 20, entry.flags, entry.method, 0, 0, entry.crc, packed, unpacked),
            *(len(raw_name), len(entry.central_extra), 0, 0, 0, 0, offset),
        )
        if entry.in_directory:
            directory += b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", *central) + raw_name + entry.central_extra
    known = sum(entry.in_directory for entry in entries)
    end = (
        *(0, 0, min(known, 0xFFFF), min(known if count is None else count, 0xFFFF)),
        *(len(directory) if size is None else size, len(out) if start is None else start, len(comment)),
    )
    return bytes(out + directory) + (zip64 or b"") + b"PK\x05\x06" + struct.pack("<HHHHIIH", *end) + comment


def zip64_records(end64: int, count: int, size: int, start: int, magic: bytes = b"PK\x06\x06") -> bytes:
    """The zip64 end record and its locator, which says that the record lies at `end64`."""
    record = magic + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, start)
    return record + b"PK\x06\x07" + struct.pack("<IQI", 0, end64, 1)


def torch_entries(body: bytes, storages: dict[str, bytes] | None = None, stem: str = "archive") -> list[Entry]:
    """What `torch.save` puts into its zip."""
    storages = {"0": FOUR} if storages is None else storages
    return [
        Entry(f"{stem}/data.pkl", stream(body)),
        Entry(f"{stem}/byteorder", b"little"),
        *(Entry(f"{stem}/data/{key}", data) for key, data in storages.items()),
        Entry(f"{stem}/version", b"3\n"),
    ]


def torch_zip(body: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A file of `torch.save` that holds what `body` pushes."""
    return zip_file(torch_entries(body, storages))


# -- the other containers ----------------------------------------------------------------------------------------

LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def legacy_file(body: bytes, keys: Any = ("0",), storages: Sequence[tuple[int, bytes]] = ((4, FOUR),)) -> bytes:
    """The stream of `torch.save` before 1.6: five pickles, then counts and bytes."""
    head = LEGACY_MAGIC + pickle.dumps(1001, 2) + pickle.dumps(SYSTEM, 2)
    listed = keys if isinstance(keys, bytes) else pickle.dumps(list(keys), 2)
    return head + stream(body) + listed + b"".join(struct.pack("<q", count) + data for count, data in storages)


def legacy_tensor(numel: int = 4, key: str = "0") -> bytes:
    """A tensor whose persistent id has the sixth, legacy part: no view."""
    pid = tuple_of(text("storage"), name("torch.FloatStorage"), text(key), text("cpu"), number(numel), b"N") + b"Q"
    return tensor((numel,), data=pid)


def tar_member(member: str, data: bytes, size: bytes | None = None, kind: bytes = b"0") -> bytes:
    """A ustar header and its data, padded to blocks."""
    digits = b"%011o\0" % len(data) if size is None else size.ljust(12, b"\0")
    header = bytearray(512)
    header[:100] = member.encode().ljust(100, b"\0")
    header[124:136] = digits
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + b"\0" * (-len(data) % 512)


def tar_file(
    storages: bytes | None = None, tensors: bytes | None = None, body: bytes | None = None, end: bytes = b"\0" * 1024
) -> bytes:
    """The oldest form of `torch.save`: one storage, one tensor, an object that refers to it."""
    if storages is None:
        entry = stream(tuple_of(text("0"), text("cpu"), name("torch.FloatStorage")))
        storages = pickle.dumps(1, 2) + entry + struct.pack("<q", 4) + FOUR + pickle.dumps([], 2)
    if tensors is None:
        tensors = pickle.dumps(1, 2) + tar_tensor((4,), (1,), 0)
    body = dict_of((text("w"), text("t") + b"Q")) if body is None else body
    members = {"sys_info": pickle.dumps(SYSTEM, 2), "pickle": stream(body), "storages": storages, "tensors": tensors}
    return b"".join(tar_member(member, data) for member, data in members.items()) + end


def tar_tensor(shape: Sequence[int], stride: Sequence[int], offset: int, ndim: int | None = None) -> bytes:
    """An entry of the member `tensors`."""
    head = stream(tuple_of(text("t"), text("0"), name("torch.FloatTensor")))
    counted = struct.pack("<i4x", len(shape) if ndim is None else ndim)
    return head + counted + struct.pack(f"<{len(shape) * 2 + 1}q", *shape, *stride, offset)


def safetensors_file(header: Any, data: bytes = FOUR, length: int | None = None) -> bytes:
    """Length, JSON, bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def safe_entry(shape: Any = (4,), offsets: Any = (0, 16), dtype: Any = "F32") -> dict[str, Any]:
    """One tensor of a safetensors header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}
