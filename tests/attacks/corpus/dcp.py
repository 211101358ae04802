"""Folders of torch.distributed.checkpoint whose metadata lies."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import attack, payload
from .bombs import doubled
from .build import (
    call,
    dict_of,
    list_of,
    name,
    number,
    numbers,
    put,
    stream,
    tensor,
    text,
    torch_zip,
    tuple_of,
)

MODULE = "torch.distributed.checkpoint.metadata"
BLOB = torch_zip(tensor())


def record(kind: str, **fields: bytes) -> bytes:
    """An object with attributes."""
    return name(kind) + b")\x81" + dict_of(*((text(key), value) for key, value in fields.items())) + b"b"


def chunk(offsets: bytes | None = None, sizes: bytes | None = None) -> bytes:
    """`ChunkStorageMetadata`."""
    offsets, sizes = offsets or size(0), sizes or size(4)
    return record(f"{MODULE}.ChunkStorageMetadata", offsets=offsets, sizes=sizes)


def size(*sizes: int) -> bytes:
    """`torch.Size`."""
    return call("torch.Size", numbers(sizes))


def described(shape: bytes | None = None, chunks: bytes | None = None) -> bytes:
    """`TensorStorageMetadata`."""
    chunks = list_of(chunk()) if chunks is None else chunks
    return record(f"{MODULE}.TensorStorageMetadata", size=shape or size(4), chunks=chunks)


def index(offset: bytes | None = None, fqn: bytes | None = None) -> bytes:
    """`MetadataIndex`."""
    return record(f"{MODULE}.MetadataIndex", fqn=fqn or text("w"), offset=offset or size(0), index=b"N")


def place(path: bytes | None = None, offset: bytes | None = None, length: bytes | None = None) -> bytes:
    """`_StorageInfo`."""
    return record(
        "torch.distributed.checkpoint.filesystem._StorageInfo",
        relative_path=path or text("__0_0.distcp"),
        offset=offset or number(0),
        length=length or number(len(BLOB)),
    )


def metadata(
    tensors: bytes | None = None, places: bytes | None = None, paths: bytes = b"N", prefix: bytes = b""
) -> bytes:
    """A whole `.metadata`; the parts given replace the sound ones."""
    fields = {
        "state_dict_metadata": tensors or dict_of((text("w"), described())),
        "planner_data": paths,
        "storage_data": places or dict_of((index(), place())),
    }
    return stream(prefix + record(f"{MODULE}.Metadata", **fields), 4)


def one(entry: bytes) -> bytes:
    """Metadata of a tensor `w` described as given."""
    return metadata(dict_of((text("w"), entry)))


def at(info: bytes) -> bytes:
    """Metadata of a tensor `w` that lies as given."""
    return metadata(places=dict_of((index(), info)))


SHARED = doubled(number(1), 60) + put(99) + b"0"

LIES = {
    "relative_path_traversal": (at(place(text("../outside.distcp"))), "no bare file name", "A piece in the folder above."),
    "relative_path_absolute": (at(place(text("/etc/passwd"))), "no bare file name", "A piece at an absolute path."),
    "relative_path_nul": (at(place(text("a\0b"))), "can't be opened", "A NUL in a path."),
    "relative_path_surrogate": (at(place(text("\ud800"))), "can't be opened", "A lone surrogate in a path."),
    "relative_path_long": (at(place(text("x" * 5000))), "no bare file name", "A path of 5,000 letters."),
    "relative_path_of_number": (at(place(number(7))), "no bare file name", "A number for a path."),
    "relative_path_shared": (metadata(places=dict_of((index(), place(b"hc"))), prefix=SHARED), "no bare file name", "A path that is a list shared sixty levels deep."),
    "relative_path_is_metadata": (at(place(text(".metadata"))), "reaches outside its file", "The metadata as its own piece."),
    "piece_beyond_the_file": (at(place(length=number(1 << 40))), "reaches outside its file", "A piece of 2**40 bytes."),
    "piece_negative": (at(place(offset=number(-1))), "reaches outside its file", "A piece at byte -1."),
    "piece_of_text": (at(place(offset=text("0"))), "reaches outside its file", "Text for a piece's offset."),
    "piece_of_nothing": (at(place(length=number(0))), "no directory at its end", "A piece of no bytes."),
    "piece_missing": (metadata(places=b"}"), "is missing", "No piece has a place."),
    "place_of_number": (metadata(places=dict_of((index(), number(1)))), "places something that has no name", "A number for a place."),
    "index_of_number": (metadata(places=dict_of((number(1), place()))), "places something that has no name", "A number for an index."),
    "index_offset_of_number": (metadata(places=dict_of((index(number(3)), place()))), "offset", "A number for an index's offset."),
    "index_offset_of_lists": (metadata(places=dict_of((index(list_of(list_of())), place()))), "offset", "A list of lists for an index's offset."),
    "entry_of_number": (one(number(1)), "describes", "A number for a tensor."),
    "entry_of_nothing": (one(b"N"), "describes", "None for a tensor."),
    "entry_name_of_tuple": (metadata(dict_of((numbers((1, 2)), described()))), "describes", "A tuple for a tensor's name."),
    "size_of_number": (one(described(number(4))), "shape", "A number for a shape."),
    "size_of_text": (one(described(text("4"))), "shape", "Text for a shape."),
    "size_negative": (one(described(size(-4))), "", "A negative size."),
    "size_absurd": (one(described(size(1 << 62, 1 << 62))), "", "2**124 elements."),
    "size_of_100_000_dimensions": (one(described(size(*[1] * 100_000))), "", "A hundred thousand dimensions."),
    "size_other_than_pieces": (one(described(size(8))), "overlap or leave holes", "Pieces that are half the tensor."),
    "chunk_of_number": (one(described(chunks=list_of(number(1)))), "shape", "A number for a chunk."),
    "chunk_offsets_of_number": (one(described(chunks=list_of(chunk(number(0))))), "shape", "A number for a chunk's offsets."),
    "chunk_sizes_of_nothing": (one(described(chunks=list_of(chunk(sizes=b"N")))), "shape", "None for a chunk's sizes."),
    "chunk_offsets_of_lists": (one(described(chunks=list_of(chunk(list_of(list_of()))))), "shape", "Lists for a chunk's offsets."),
    "chunk_negative": (metadata(dict_of((text("w"), described(chunks=list_of(chunk(size(-1)))))), dict_of((index(size(-1)), place()))), "outside the tensor", "A chunk at -1."),
    "chunk_of_booleans": (metadata(dict_of((text("w"), described(chunks=list_of(chunk(tuple_of(b"\x89"))))))), "shape", "False for an offset."),
    "chunks_none": (one(described(chunks=list_of())), "overlap or leave holes", "No chunks."),
    "chunks_overlap": (one(described(size(8), list_of(chunk(), chunk()))), "overlap or leave holes", "One piece twice."),
    "planner_of_number": (metadata(paths=number(7)), "planner", "A number for the planner's data."),
    "planner_path_of_number": (metadata(paths=dict_of((text("w"), number(7)))), "planner", "A number for a path."),
    "planner_path_of_text": (metadata(paths=dict_of((text("w"), text("abc")))), "planner", "Text for a path."),
    "planner_path_of_lists": (metadata(paths=dict_of((text("w"), tuple_of(list_of())))), "planner", "A list in a path."),
    "planner_path_deep": (metadata(paths=dict_of((text("w"), tuple_of(*[text("a")] * 100_000)))), "planner", "A path of 100,000 parts."),
    "planner_paths_collide": (
        metadata(
            dict_of((text("w"), described()), (text("v"), described())),
            dict_of((index(), place()), (index(fqn=text("v")), place())),
            dict_of((text("w"), tuple_of(text("a"))), (text("v"), tuple_of(text("a"), text("b")))),
        ),
        "one entry inside another",
        "One tensor inside another.",
    ),
    "planner_paths_equal": (
        metadata(
            dict_of((text("w"), described()), (text("v"), described())),
            dict_of((index(), place()), (index(fqn=text("v")), place())),
            dict_of((text("w"), tuple_of(text("a"))), (text("v"), tuple_of(text("a")))),
        ),
        "two entries at one place",
        "Two tensors at one path: one would be lost.",
    ),
    "no_state_dict_metadata": (stream(record(f"{MODULE}.Metadata", storage_data=b"}"), 4), "has no state_dict_metadata", "Metadata without tensors."),
    "metadata_of_dict": (stream(b"}", 4), "has no state_dict_metadata", "A dictionary for the metadata."),
    "metadata_empty": (b"", "is cut off", "An empty `.metadata`."),
    "metadata_of_zeros": (bytes(4096), "", "Zeros for the metadata."),
}  # fmt: skip

for _name, (_data, _refused, _tries) in LIES.items():

    def _write(folder: Path, data: bytes = _data) -> Path:
        return save(folder, data)

    attack(refused=_refused, name=f"dcp_{_name}", tries=_tries)(_write)


def save(folder: Path, data: bytes, blob: bytes = BLOB) -> Path:
    """A folder with a piece in it, and one outside."""
    path = folder / "checkpoint"
    path.mkdir()
    (path / "__0_0.distcp").write_bytes(blob)
    (folder / "outside.distcp").write_bytes(blob)
    (path / ".metadata").write_bytes(data)
    return path


def _inside(kind: str, build: Callable[[Path], tuple[bytes, bytes]], tries: str) -> None:
    def write(folder: Path) -> Path:
        return save(folder, *build(folder))

    attack(reports=("posix.system",), name=f"dcp_executes_in_{kind}", tries=tries)(write)


def _in_metadata(folder: Path) -> tuple[bytes, bytes]:
    shell = call("posix.system", text(payload(folder)))
    return metadata(prefix=shell + b"0"), BLOB


def _in_piece(folder: Path) -> tuple[bytes, bytes]:
    blob = torch_zip(call("posix.system", text(payload(folder))))
    entry = record(f"{MODULE}.BytesStorageMetadata")
    places = dict_of(
        (record(f"{MODULE}.MetadataIndex", fqn=text("w"), offset=b"N", index=b"N"), place(length=number(len(blob))))
    )
    return metadata(dict_of((text("w"), entry)), places), blob


_inside("metadata", _in_metadata, "Calls os.system in `.metadata`.")
_inside("a_piece", _in_piece, "Calls os.system in a piece.")


@attack(refused="")
def dcp_20_000_pieces_of_one_blob(folder: Path) -> Path:
    """Twenty thousand pieces, all the same bytes of the file: reading each would take minutes."""
    count = 20_000
    chunks = list_of(*(chunk(size(4 * n)) for n in range(count)))
    places = dict_of(*((index(size(4 * n)), place()) for n in range(count)))
    return save(folder, metadata(dict_of((text("w"), described(size(4 * count + 1), chunks))), places))


@attack(refused="is unknown")
def dcp_metadata_of_a_terabyte(folder: Path) -> Path:
    """A sparse `.metadata`."""
    path = save(folder, b"")
    with (path / ".metadata").open("wb") as file:
        file.write(b"\x80\x04}")
        file.truncate(1 << 40)
    return path
