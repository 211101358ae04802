# ruff: noqa: E501 - tables: one attack a line
"""OneFlow folders that lie: paths outside, metadata, manifests. `flow.load` of 0.9.0 follows and runs them all."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import attack, payload
from .bombs import doubled
from .build import FOUR, call, dict_of, list_of, name, number, numbers, put, stream, text

META = b"shape {\n  dim: 4\n}\ndata_type: kFloat\n"


def flow_tensor(path: bytes) -> bytes:
    """A tensor that lies at a path."""
    return name("oneflow.Tensor") + b")\x81" + dict_of((text("path"), path)) + b"b"


def pickled(data: bytes, version: int = 1, prefix: bytes = b"") -> bytes:
    """`pickled_data`."""
    pairs = ((text("protocol_version"), number(version)), (text("data"), data))
    return stream(prefix + dict_of(*pairs), 4)


def save(folder: Path, data: bytes, meta: bytes = META, out: bytes = FOUR, manifest: Any = None) -> Path:
    """A checkpoint folder with one tensor, and another tensor outside."""
    path = folder / "checkpoint"
    for place in (path / "tensor_0", folder / "outside"):
        place.mkdir(parents=True)
        (place / "meta").write_bytes(meta)
        (place / "out").write_bytes(out)
    (path / "pickled_data").write_bytes(data)
    if manifest is not None:
        raw = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        (path / "manifest.json").write_bytes(raw)
    return path


def weight(path: bytes | None = None) -> bytes:
    """`{"w": tensor}`."""
    return pickled(dict_of((text("w"), flow_tensor(path or text("tensor_0")))))


OUTSIDE = "outside its folder"
PATHS: dict[str, tuple[bytes, str, str]] = {
    "traversal": (weight(text("../outside")), OUTSIDE, "A tensor at `../outside`."),
    "traversal_inside": (weight(text("tensor_0/../../outside")), OUTSIDE, "The same, hidden in the middle."),
    "absolute": (weight(text("/etc")), OUTSIDE, "A tensor at an absolute path."),
    "nul": (weight(text("a\0b")), OUTSIDE, "A NUL in a path."),
    "surrogate": (weight(text("\ud800")), "can't be opened", "A lone surrogate in a path."),
    "long": (weight(text("x" * 3000)), "can't be opened", "A path of 3,000 letters."),
    "empty": (weight(text("")), "can't be opened", "An empty path: the folder itself."),
    "of_number": (weight(number(7)), OUTSIDE, "A number for a path."),
    "of_nothing": (weight(b"N"), OUTSIDE, "None for a path."),
    "shared": (pickled(dict_of((text("w"), flow_tensor(b"hc"))), prefix=doubled(number(1), 60) + put(99) + b"0"), OUTSIDE, "A path that is a list shared sixty levels deep."),
    "missing": (weight(text("tensor_9")), "can't be opened", "A tensor that is not there."),
    "state_of_list": (pickled(name("oneflow.Tensor") + b")\x81]b"), "has no place", "A list for a tensor's state."),
    "version": (pickled(b"}", version=9), "is not OneFlow's", "Another version."),
    "data_of_list": (stream(list_of(), 4), "is not OneFlow's", "A list for the whole."),
    "data_of_zeros": (bytes(100), "is unknown", "Zeros for the whole."),
    "data_empty": (b"", "is cut off", "An empty `pickled_data`."),
    "cast_of_number": (pickled(call("oneflow.cast", number(1), name("oneflow.float32"))), "out of something else", "A cast of a number."),
    "cast_to_number": (pickled(call("oneflow.cast", flow_tensor(text("tensor_0")), number(1))), "unknown element type", "A cast to a number."),
    "size_copies": (pickled(b"(" + b"N" * (1 << 20) + b"t" + put(7) + b"0" + b"](" + (name("oneflow.Size") + b"h\x07\x85R") * 50_000 + b"e"), "copy far more", "`oneflow.Size` of a million, fifty thousand times."),
}  # fmt: skip

for _name, (_data, _refused, _tries) in PATHS.items():

    def _write(folder: Path, data: bytes = _data) -> Path:
        return save(folder, data)

    attack(refused=_refused, name=f"oneflow_path_{_name}", tries=_tries)(_write)

METAS: dict[str, tuple[bytes, bytes, str, str]] = {
    "empty": (b"", FOUR, "data type ''", "An empty `meta`."),
    "unknown_type": (META.replace(b"kFloat", b"kEvil"), FOUR, "data type 'kEvil'", "A data type that OneFlow never had."),
    "type_of_number": (META.replace(b"kFloat", b"99999"), FOUR, "data type '99999'", "A data type of number 99999."),
    "too_large": (META.replace(b"4", b"5"), FOUR, "should have 20 bytes", "Five elements in 16 bytes."),
    "overflow": (META.replace(b"dim: 4", b"dim: 4611686018427387904\n dim: 4611686018427387904"), FOUR, "should have", "2**124 elements."),
    "digits": (META.replace(b"dim: 4", b"dim: " + b"9" * 5000), FOUR, "", "A dimension of 5,000 digits."),
    "many": (META.replace(b"dim: 4\n", b"dim: 1\n" * 5000), FOUR[:4], "dimensions", "Five thousand dimensions."),
    "list": (META.replace(b"dim: 4", b"dim: [2,\n 2]"), FOUR, "", "A list of dimensions over two lines, as protobuf allows."),
    "list_without_commas": (META.replace(b"dim: 4", b"dim: [2\n2]"), FOUR, "", "A list without a comma."),
    "zeros_times_huge": (META.replace(b"dim: 4\n", b"dim: 0\n dim: 2305843009213693952\n dim: 8\n"), b"", "", "No elements, but an overflow on the way."),
}  # fmt: skip

for _name, (_meta, _out, _refused, _tries) in METAS.items():

    def _write_meta(folder: Path, meta: bytes = _meta, out: bytes = _out) -> Path:
        return save(folder, weight(), meta, out)

    attack(refused=None if _name == "list" else _refused, name=f"oneflow_meta_{_name}", tries=_tries)(_write_meta)

ROW = {"name": "w", "path": "tensor_0", "dtype": "float32", "shape": [4], "bytes": 16}


def rows(**changes: Any) -> dict[str, Any]:
    """A manifest with one tensor, described as given."""
    return {"schema": 1, "format": "folder", "tensors": [{**ROW, **changes}]}


MANIFESTS: dict[str, tuple[Any, str | None, str]] = {
    "of_list": ([1], None, "A list for the manifest."),
    "of_junk": (b"{", None, "A manifest that breaks off."),
    "not_utf8": (b'{"tensors": ["\xff"]}', None, "A manifest that is not UTF-8."),
    "nested": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None, "A manifest 100,000 levels deep."),
    "without_tensors": ({"schema": 1}, None, "A manifest without tensors."),
    "tensors_of_number": ({"schema": 1, "tensors": 7}, None, "A number for the tensors."),
    "row_path_of_list": (rows(path=[1], change="widened"), None, "A list for a path."),
    "dtype_of_list": (rows(source_dtype=[1], change="widened"), None, "A list for a dtype."),
    "dtype_larger": (rows(source_dtype="complex128", change="widened"), None, "A source dtype of more bytes than there are."),
    "view_as_real": (rows(source_dtype="complex128", change="view_as_real"), "lies outside its storage", "A change to a dtype of four times the bytes."),
}  # fmt: skip

for _name, (_manifest, _refusal, _tries) in MANIFESTS.items():

    def _write_manifest(folder: Path, manifest: Any = _manifest) -> Path:
        meta = META.replace(b"dim: 4", b"dim: 2\n  dim: 2")
        return save(folder, weight(), meta, manifest=manifest)

    convert = (4,) if _name == "dtype_larger" else (0,)  # OneFlow holds no complex numbers
    attack(refused=_refusal, convert=convert, name=f"oneflow_manifest_{_name}", tries=_tries)(_write_manifest)


@attack(refused="unfolds to more than")
def oneflow_manifest_over_a_bomb(folder: Path) -> Path:
    """A manifest that makes the reader walk the tree, and a tree that is never walked to its end."""
    tree = doubled(flow_tensor(text("tensor_0")), 60)
    data = pickled(b"h\x3c", prefix=tree + b"0")
    return save(folder, data, manifest=rows(source_dtype="int16", change="widened"))


@attack(refused="holds itself")
def oneflow_manifest_over_a_circle(folder: Path) -> Path:
    """The same with a list that holds itself."""
    return save(folder, pickled(b"]" + put(0) + b"h\x00a"), manifest=rows(source_dtype="int16", change="widened"))


def _executes(where: str, build: Callable[[bytes], bytes]) -> None:
    def write(folder: Path) -> Path:
        return save(folder, build(call("posix.system", text(payload(folder)))))

    attack(reports=("posix.system",), name=f"oneflow_executes_in_{where}", tries="Calls os.system: flow.load runs it.")(
        write
    )


_executes("pickled_data", lambda shell: pickled(dict_of((text("w"), shell))))
_executes("prefix", lambda shell: pickled(b"}", prefix=shell + b"0"))


@attack(reports=("posix.system",))
def oneflow_executes_in_a_single_file(folder: Path) -> Path:
    """Calls os.system in OneFlow 1.x's single file, which its reader runs even to find out the format."""
    pairs = (
        (text("protocol_version"), number(1)),
        (text("__oneflow__"), b"N"),
        (text("data"), call("posix.system", text(payload(folder)))),
    )
    path = folder / "model.of"
    path.write_bytes(stream(dict_of(*pairs), 4))
    return path


@attack(refused="")
def oneflow_single_file_dtype(folder: Path) -> Path:
    """A tensor of a single file whose NumPy array is larger than its bytes."""
    array = call("numpy.ndarray", numbers((1 << 40,)), text("<f4"), b"C\x04\0\0\0\0")
    state = dict_of((text("data"), array), (text("dtype"), b"N"))
    value = name("oneflow.Tensor") + b")\x81" + state + b"b"
    pairs = ((text("protocol_version"), number(1)), (text("__oneflow__"), b"N"), (text("data"), value))
    path = folder / "model.of"
    path.write_bytes(stream(dict_of(*pairs), 4))
    return path


@attack(refused="can't be opened")
def oneflow_snapshot_without_out(folder: Path) -> Path:
    """A snapshot folder whose tensor has no bytes."""
    path = folder / "checkpoint"
    (path / "w").mkdir(parents=True)
    (path / "w" / "meta").write_bytes(META)
    (path / "snapshot_done").write_bytes(b"")
    return path


@attack(refused="not a regular file")
def oneflow_snapshot_of_fifos(folder: Path) -> Path:
    """A snapshot folder whose bytes are a device that never ends."""
    path = folder / "checkpoint"
    (path / "w").mkdir(parents=True)
    (path / "w" / "meta").write_bytes(META)
    (path / "w" / "out").symlink_to("/dev/zero")
    (path / "snapshot_done").write_bytes(b"")
    return path


@attack(refused="")
def oneflow_pickled_data_of_a_terabyte(folder: Path) -> Path:
    """A sparse `pickled_data`."""
    path = save(folder, b"")
    with (path / "pickled_data").open("wb") as file:
        file.write(b"\x80\x04X" + struct.pack("<I", 0xFFFFFFFF))
        file.truncate(1 << 40)
    return path
