"""The zip archives PyTorch writes: where each record's bytes lie, without reading them.

Follows `caffe2/serialize/inline_container.cc` (PyTorch 1.4 to 2.13) and the zip specification
(APPNOTE 6.3.9, sections 4.3 and 4.5.3). Python's `zipfile` is not used: it refuses archives written with
`torch.serialization.set_crc32_options(False)`, and accepts overlapping and duplicated entries.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_right
from typing import NamedTuple

from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.errors import FormatError

MAGIC = b"PK\x03\x04"
_END = struct.Struct("<4sHHHHIIH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")

MAX_ENTRIES = 1 << 22
"""Ten times the number of tensors of the largest sharded checkpoint; bounds memory for a hostile directory."""


class Record(NamedTuple):
    """One entry: the central directory's facts. Local headers of PyTorch hold zeros for size and CRC."""

    header_offset: int
    size: int
    crc32: int
    method: int
    name_length: int


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


class ZipArchive:
    """An archive in a file, or in a range of a file.

    Args:
        file: the file.
        base: byte offset of the archive in it.
        length: its length; to the end of the file if None.

    Raises:
        FormatError: the directory is missing, damaged, or describes entries that overlap or lie outside.
    """

    def __init__(self, file: SourceFile, base: int = 0, length: int | None = None) -> None:
        self.file, self.base = file, base
        self.length = file.size - base if length is None else length
        self.records: dict[str, Record] = {}
        start, size, count = self._find_directory()
        self._read_directory(start, size, count)
        self._behind = array("Q", self._check_ranges(start))

    def __contains__(self, name: str) -> bool:
        return name in self.records

    def names(self) -> list[str]:
        """The entries' names, in the directory's order."""
        return list(self.records)

    def range(self, name: str) -> tuple[int, int]:
        """Offset in the *file*, and length, of a record's bytes.

        Raises:
            FormatError: no such record, it is compressed or encrypted, or its local header contradicts.
        """
        record = self.records.get(name)
        if record is None:
            raise self._error(f"the record {name[:200]!r} is missing")
        if record.method != 0:
            raise self._error(
                f"the record {name[:200]!r} is compressed",
                maybe="someone packed the checkpoint again with a zip program; PyTorch never compresses",
                remedy="load and save it once with torch, or repack it with 'zip -0'",
            )
        return self._locate(name, record)

    def _locate(self, name: str, record: Record) -> tuple[int, int]:
        raw = self.file.read(self.base + record.header_offset, _LOCAL.size + record.name_length, "a local header")
        magic, _, flags, _, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack_from(raw)
        start = record.header_offset + _LOCAL.size + name_length + extra_length
        sound = (
            magic == MAGIC
            and not flags & 1
            and raw[_LOCAL.size :] == _encoded(name)
            and name_length == record.name_length
        )
        # A long extra field moves the bytes back, where they must not reach the next record.
        limit = self._behind[bisect_right(self._behind, record.header_offset)]
        if not sound or start + record.size > limit:
            raise self._error(f"the local header of {name[:200]!r} contradicts the directory")
        return self.base + start, record.size

    def read(self, name: str, limit: int = 1 << 31) -> bytes:
        """A record's bytes, refused beyond `limit`."""
        offset, size = self.range(name)
        if size > limit:
            raise self._error(f"the record {name[:200]!r} of {size} bytes is larger than any PyTorch writes")
        return self.file.read(offset, size, f"record {name!r}")

    def inflate(self, name: str, limit: int) -> bytes:
        """A text record, which PyTorch may compress; refused if it is longer than `limit`."""
        record = self.records.get(name)
        if record is None or record.method == 0:
            return self.read(name, limit)
        offset, size = self._locate(name, record)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(self.file.read(offset, min(size, limit), f"record {name!r}"), limit + 1)
        except zlib.error as error:
            raise self._error(f"the record {name[:200]!r} can't be inflated ({error})") from None
        if record.method != 8 or len(data) > limit:
            raise self._error(f"the record {name[:200]!r} is larger than any PyTorch writes")
        return data

    def _find_directory(self) -> tuple[int, int, int]:
        """Start, size and entry count of the central directory; the zip64 form wins where present."""
        tail_length = min(self.length, _END.size + 0xFFFF + _END64_LOCATOR.size)
        tail_start = self.length - tail_length
        tail = self.file.read(self.base + tail_start, tail_length, "the end of the archive")
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or at + _END.size > len(tail):
            raise self._error("it has no directory at its end")
        _, disk, _, _, count, size, start, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment != len(tail):
            raise self._error("something lies behind its directory")
        locator = at - _END64_LOCATOR.size
        if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
            _, _, end64, _ = _END64_LOCATOR.unpack_from(tail, locator)
            if end64 + _END64.size > tail_start + locator:
                raise self._error("its zip64 directory lies outside the file")
            raw = self.file.read(self.base + end64, _END64.size, "the zip64 directory")
            magic, _, _, _, disk, _, _, count, size, start = _END64.unpack(raw)
            if magic != b"PK\x06\x06":
                raise self._error("its zip64 directory is damaged")
        if disk or count > MAX_ENTRIES or start + size > tail_start + at or count * _CENTRAL.size > size:
            raise self._error("its directory does not fit into the file")
        return start, size, count

    def _read_directory(self, start: int, size: int, count: int) -> None:
        data = self.file.read(self.base + start, size, "the directory")
        at = 0
        for _ in range(count):
            if at + _CENTRAL.size > size:
                raise self._error("its directory ends early")
            magic, _, _, flags, method, _, _, crc, packed, unpacked, *rest = _CENTRAL.unpack_from(data, at)
            name_length, extra_length, comment_length, _, _, _, offset = rest
            behind_name = at + _CENTRAL.size + name_length
            name = data[at + _CENTRAL.size : behind_name]
            at = behind_name + extra_length + comment_length
            if magic != b"PK\x01\x02" or at > size:
                raise self._error("its directory is damaged")
            if 0xFFFFFFFF in (packed, unpacked, offset):
                extra = data[behind_name : behind_name + extra_length]
                unpacked, packed, offset = self._zip64(extra, unpacked, packed, offset)
            text = name.decode("utf-8", "surrogateescape")
            if text in self.records:
                raise self._error(f"two records are named {text[:200]!r}")
            if flags & 1 or (method == 0 and packed != unpacked):
                raise self._error(f"the record {text[:200]!r} is encrypted or has two sizes")
            self.records[text] = Record(offset, packed, crc, method, name_length)
        if at != size:
            raise self._error(f"the directory counts {count} entries and holds more")

    def _zip64(self, extra: bytes, *values: int) -> list[int]:
        """Extended sizes and offset (APPNOTE 4.5.3): only those whose 32-bit field is full are there."""
        at = 0
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<HH", extra, at)
            if kind == 1:
                wide = list(values)
                cursor = at + 4
                for index, value in enumerate(values):
                    if value == 0xFFFFFFFF:
                        if cursor + 8 > min(at + 4 + length, len(extra)):
                            raise self._error("its directory has a short zip64 field")
                        (wide[index],) = struct.unpack_from("<Q", extra, cursor)
                        cursor += 8
                return wide
            at += 4 + length
        raise self._error("its directory lacks a zip64 field")

    def _check_ranges(self, directory: int) -> list[int]:
        """Refuses records that overlap: the classic zip bomb, and a way to show two readers two files.

        Returns the offsets of all records and of the directory, in order.
        """
        behind = 0
        for record in sorted(self.records.values(), key=lambda record: record.header_offset):
            if record.header_offset < behind:
                raise self._error("two records overlap")
            behind = record.header_offset + _LOCAL.size + record.name_length + record.size
        if behind > directory:
            raise self._error("a record reaches into the directory")
        return [*sorted(record.header_offset for record in self.records.values()), directory]

    def _error(self, reason: str, maybe: str = "", remedy: str = "") -> FormatError:
        return FormatError(
            f"The zip archive can't be used: {reason}.",
            where=str(self.file.path) + (f", archive at byte {self.base}" if self.base else ""),
            maybe=maybe or "the file is incomplete, damaged, or was made to mislead its reader",
            remedy=remedy or "compare its size and checksum with the original and fetch it again",
        )
