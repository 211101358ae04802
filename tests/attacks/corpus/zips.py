"""Zip archives that lie: directories, sizes, names, duplicates, overlaps."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from . import attack
from .build import (
    FOUR,
    Entry,
    dict_of,
    stream,
    tensor,
    text,
    torch_entries,
    torch_zip,
    zip64_records,
    zip_file,
)

BODY = dict_of((text("weight"), tensor()))


def save(folder: Path, data: bytes) -> Path:
    """`model.pth`."""
    path = folder / "model.pth"
    path.write_bytes(data)
    return path


def entries(**changes: object) -> list[Entry]:
    """A sound file's records, the storage's with changes."""
    made = torch_entries(BODY)
    for key, value in changes.items():
        setattr(made[2], key, value)
    return made


@attack(refused="is compressed")
def deflated_storage(folder: Path) -> Path:
    """A megabyte that inflates to a gigabyte: PyTorch 1.13 and 2.13 inflate it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(bytes(16 << 20)) + packer.flush()
    made = torch_entries(dict_of((text("weight"), tensor((4 << 20,)))), {"0": data})
    made[2].method, made[2].size, made[2].packed = 8, 16 << 20, len(data)
    return save(folder, zip_file(made))


@attack(refused="is compressed")
def deflated_pickle(folder: Path) -> Path:
    """The pickle itself is compressed, as any zip program would leave it."""
    made = torch_entries(BODY)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(made[0].data) + packer.flush()
    made[0].method, made[0].size, made[0].packed, made[0].data = 8, len(made[0].data), len(packed), packed
    return save(folder, zip_file(made))


@attack(refused="two records overlap")
def overlapping_records(folder: Path) -> Path:
    """A thousand directory entries over one record: the zip bomb of Fifield (2019)."""
    storages = {str(index): b"" for index in range(1000)}
    made = torch_entries(BODY, {"0": bytes(1 << 16), **storages})
    for entry in made[3:-1]:
        entry.offset, entry.size = 0, 1 << 16
    return save(folder, zip_file(made))


@attack(refused="contradicts the directory")
def overlap_by_extra_field(folder: Path) -> Path:
    """A long local extra field moves a record's bytes over the next record's."""
    made = [
        Entry("archive/data.pkl", stream(BODY)),
        Entry("archive/data/0", FOUR),
        Entry("archive/data/1", FOUR + FOUR),
    ]
    raw = bytearray(zip_file(made))
    at = raw.find(b"archive/data/0") - 2
    raw[at : at + 2] = struct.pack("<H", 60)
    return save(folder, bytes(raw))


@attack(refused="two records are named")
def duplicate_record(folder: Path) -> Path:
    """Two records of one name: one reader takes the first, another the last. PyTorch accepts it."""
    return save(folder, zip_file([*torch_entries(BODY), Entry("archive/data/0", bytes(16))]))


@attack(refused="2 records named data.pkl")
def two_pickles(folder: Path) -> Path:
    """Two `data.pkl` in two folders: a scanner may look at the other one."""
    return save(folder, zip_file([*torch_entries(BODY), Entry("other/data.pkl", stream(b"N"))]))


@attack(refused="contradicts the directory")
def other_local_name(folder: Path) -> Path:
    """The local header has another name than the directory."""
    return save(folder, zip_file(entries(local_name=b"archive/data/9")))


@attack(refused="contradicts the directory")
def longer_local_name(folder: Path) -> Path:
    """The local header's name is longer, so that the data starts elsewhere."""
    return save(folder, zip_file(entries(local_name=b"archive/data/0" + b"x" * 16)))


@attack(refused="contradicts the directory")
def no_local_header(folder: Path) -> Path:
    """The directory points at something that is no local header."""
    return save(folder, zip_file(entries(magic=b"JUNK")))


@attack(refused="contradicts the directory")
def encrypted_locally(folder: Path) -> Path:
    """Encrypted in the local header, plain in the directory."""
    return save(folder, zip_file(entries(local_flags=1)))


@attack(refused="is encrypted or has two sizes")
def encrypted(folder: Path) -> Path:
    """An encrypted record."""
    return save(folder, zip_file(entries(flags=1)))


@attack(refused="is encrypted or has two sizes")
def two_sizes(folder: Path) -> Path:
    """Stored, but packed and unpacked size differ."""
    return save(folder, zip_file(entries(size=1 << 30, packed=16)))


@attack(refused="should hold 4 elements")
def record_too_short(folder: Path) -> Path:
    """The storage's record has 12 of its 16 bytes."""
    return save(folder, zip_file(torch_entries(BODY, {"0": FOUR[:12]})))


@attack(refused="reaches into the directory")
def size_beyond_the_file(folder: Path) -> Path:
    """The directory says that a record of 16 bytes has a gigabyte."""
    made = torch_entries(BODY)
    made[-1].size = 1 << 30
    return save(folder, zip_file(made))


@attack(refused="reaches into the directory")
def offset_beyond_the_file(folder: Path) -> Path:
    """A record lies behind the end of the file."""
    return save(folder, zip_file(entries(offset=1 << 30)))


@attack(refused="its directory lacks a zip64 field")
def zip64_field_missing(folder: Path) -> Path:
    """A size of 0xffffffff without the field that holds the real one."""
    return save(folder, zip_file(entries(size=0xFFFFFFFF)))


@attack(refused="a short zip64 field")
def zip64_field_short(folder: Path) -> Path:
    """The same with a field of four bytes."""
    return save(folder, zip_file(entries(size=0xFFFFFFFF, central_extra=struct.pack("<HHI", 1, 4, 16))))


@attack(refused="two records overlap")
def zip64_size_of_2_64(folder: Path) -> Path:
    """A zip64 size of 2**64-1."""
    extra = struct.pack("<HH", 1, 16) + b"\xff" * 16
    return save(folder, zip_file(entries(size=0xFFFFFFFF, packed=0xFFFFFFFF, central_extra=extra)))


@attack(refused="does not fit into the file")
def directory_count_too_large(folder: Path) -> Path:
    """The end record counts 60,000 entries."""
    return save(folder, zip_file(torch_entries(BODY), count=60_000))


@attack(refused="counts 4 entries and holds more")
def directory_count_too_small(folder: Path) -> Path:
    """The end record counts one entry less than there are: the last is hidden from some readers."""
    return save(folder, zip_file([*torch_entries(BODY), Entry("archive/hidden", b"x")], count=4))


@attack(refused="does not fit into the file")
def directory_size_too_large(folder: Path) -> Path:
    """The directory claims to be as large as 4 GB."""
    return save(folder, zip_file(torch_entries(BODY), size=0xFFFFFFF0))


@attack(refused="does not fit into the file")
def directory_start_beyond(folder: Path) -> Path:
    """The directory starts behind the file."""
    return save(folder, zip_file(torch_entries(BODY), start=0xFFFFFFF0))


@attack(refused="its directory is damaged")
def directory_start_elsewhere(folder: Path) -> Path:
    """The directory starts at the first record."""
    return save(folder, zip_file(torch_entries(BODY), start=0))


@attack(refused="its zip64 directory lies outside the file")
def zip64_directory_outside(folder: Path) -> Path:
    """The locator points behind the file."""
    return save(folder, zip_file(torch_entries(BODY), zip64=zip64_records(1 << 62, 4, 0, 0)))


@attack(refused="its zip64 directory is damaged")
def zip64_directory_damaged(folder: Path) -> Path:
    """The locator points at something else."""
    return save(folder, zip_file(torch_entries(BODY), zip64=zip64_records(0, 4, 0, 0)))


@attack(refused="does not fit into the file")
def zip64_count_of_2_62(folder: Path) -> Path:
    """The zip64 end record counts 2**62 entries."""
    plain = zip_file(torch_entries(BODY))
    end64 = len(plain) - 22
    return save(folder, zip_file(torch_entries(BODY), zip64=zip64_records(end64, 1 << 62, 1 << 62, 0)))


@attack(refused="something lies behind its directory")
def end_record_in_the_comment(folder: Path) -> Path:
    """A second end record in the comment names another directory, with another pickle."""
    other = torch_zip(dict_of((text("other"), tensor())))
    return save(folder, zip_file(torch_entries(BODY), comment=other[-22:-2] + b"\x05\x00"))


@attack(refused="something lies behind its directory")
def something_behind_the_end(folder: Path) -> Path:
    """Bytes behind the archive, where a second one could lie."""
    return save(folder, torch_zip(BODY) + b"x" * 100)


@attack(refused="")
def two_archives_in_one_file(folder: Path) -> Path:
    """Two archives one after the other: readers that start at the front see the first, others the second."""
    return save(folder, torch_zip(dict_of((text("first"), tensor()))) + torch_zip(BODY))


@attack(refused="no directory at its end")
def only_the_magic(folder: Path) -> Path:
    """`PK` and nothing else."""
    return save(folder, b"PK\x03\x04")


@attack(refused="holds no data.pkl")
def empty_archive(folder: Path) -> Path:
    """An archive with one record that says nothing."""
    return save(folder, zip_file([Entry("nothing", b"x")]))


@attack(refused="larger than any PyTorch writes")
def byteorder_of_a_kilobyte(folder: Path) -> Path:
    """The record `byteorder` is a kilobyte."""
    made = torch_entries(BODY)
    made[1].data = b"big" * 400
    return save(folder, zip_file(made))


@attack()
def pickle_of_a_terabyte(folder: Path) -> Path:
    """A sparse file whose pickle is said, truly, to be 4 TB long: only what is needed of it is read."""
    path = folder / "model.pth"
    size = 4 << 40
    made = [Entry("archive/data.pkl", b"\x80\x02}.", size=0xFFFFFFFF)]
    made[0].central_extra = struct.pack("<HHQQ", 1, 16, size, size)
    raw = zip_file(made)
    cut = raw.find(b"PK\x01\x02")
    directory = raw[cut : raw.find(b"PK\x05\x06")]
    start = cut + size
    with path.open("wb") as file:
        file.write(raw[:cut])
        file.seek(start)
        file.write(directory + zip64_records(start + len(directory), 1, len(directory), start))
        file.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), 0xFFFFFFFF, 0))
    return path


NAMES: dict[str, tuple[Sequence[Entry], str]] = {
    "traversal": ([Entry("archive/../../../../tmp/canary", b"x")], "A record named `../../../../tmp/canary`."),
    "absolute": ([Entry("/tmp/canary", b"x")], "A record named `/tmp/canary`."),
    "windows": ([Entry("C:\\Windows\\canary", b"x")], "A record named `C:\\Windows\\canary`."),
    "nul": ([Entry(b"archive/a\0b", b"x")], "A NUL in a record's name."),
    "not_utf8": ([Entry(b"archive/\xff\xfe", b"x")], "A record's name that is not UTF-8."),
    "empty": ([Entry("", b"x")], "A record without a name."),
    "long": ([Entry("archive/" + "x" * 60_000, b"x")], "A name of 60,000 letters."),
    "terminal": ([Entry("archive/\x1b]0;owned\x07", b"x")], "A name that changes the terminal's title."),
}

for _name, (_extra, _tries) in NAMES.items():

    def _write(folder: Path, extra: Sequence[Entry] = tuple(_extra)) -> Path:
        return save(folder, zip_file([*torch_entries(BODY), *extra]))

    attack(name=f"record_name_{_name}", tries=_tries + " Nothing is unpacked, so it is only ignored.")(_write)
