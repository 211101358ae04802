"""safetensors headers, sharded indexes and .pt2 configurations: JSON that lies, or is no JSON."""

# ruff: noqa: E501 - tables: one attack a line
from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from . import attack
from .build import FOUR, Entry, dict_of, safe_entry, safetensors_file, tensor, text, torch_zip, zip_file

SAFE = {
    "header_longer_than_file": (safetensors_file({"a": safe_entry()}, length=1 << 20), "", "A header beyond the file."),
    "header_length_of_2_63": (safetensors_file({"a": safe_entry()}, length=1 << 63), "", "A header of 2**63 bytes."),
    "header_not_json": (safetensors_file(b'{"a": ' + b" " * 20), "JSON is not valid", "A header that breaks off."),
    "header_not_utf8": (safetensors_file(b'{"\xff\xfe": 1}'), "JSON is not valid", "A header that is not UTF-8."),
    "header_of_nan": (safetensors_file(b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 16]}}'), "impossible numbers", "NaN for a size."),
    "header_of_infinity": (safetensors_file(b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 16]}}'), "impossible numbers", "1e999 for a size."),
    "header_of_long_integer": (safetensors_file(b'{"a": ' + b"9" * 100_000 + b"}"), "JSON is not valid", "An integer of 100,000 digits."),
    "header_nested_100_000": (safetensors_file(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "nested more than", "Objects 100,000 levels deep."),
    "header_lists_nested": (safetensors_file(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested more than", "Lists 100,000 levels deep."),
    "name_twice": (safetensors_file(b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'), "stands twice", "One name twice: parsers differ in which they take."),
    "entry_of_nothing": (safetensors_file({"a": None}), "is incomplete", "null for a tensor."),
    "entry_of_text": (safetensors_file({"a": "dtype"}), "is incomplete", "Text for a tensor."),
    "entry_of_list": (safetensors_file({"a": []}), "is incomplete", "A list for a tensor."),
    "dtype_unknown": (safetensors_file({"a": safe_entry(dtype="F7")}), "unknown dtype", "A dtype that does not exist."),
    "dtype_of_list": (safetensors_file({"a": safe_entry(dtype=["F32"])}), "unknown dtype", "A list for a dtype."),
    "shape_of_text": (safetensors_file({"a": safe_entry("4")}), "is incomplete", "Text for a shape."),
    "shape_of_number": (safetensors_file({"a": safe_entry(4)}), "is incomplete", "A number for a shape."),
    "shape_negative": (safetensors_file({"a": safe_entry([-2, -2])}), "impossible numbers", "Negative sizes."),
    "shape_of_booleans": (safetensors_file({"a": safe_entry([True, 4])}), "impossible numbers", "true for a size."),
    "shape_overflows": (safetensors_file({"a": safe_entry([1 << 61, 1 << 61])}), "absurd", "2**122 elements."),
    "shape_of_100_000_dimensions": (safetensors_file({"a": safe_entry([1] * 100_000, [0, 4])}, FOUR[:4]), "impossible numbers", "A hundred thousand dimensions."),
    "shape_zero_times_huge": (safetensors_file({"a": safe_entry([0, 1 << 61, 8], [0, 0])}, b""), "absurd", "Zero elements, but an overflow on the way."),
    "offsets_negative": (safetensors_file({"a": safe_entry(offsets=[-16, 0])}), "impossible numbers", "Negative offsets: the header itself."),
    "offsets_backwards": (safetensors_file({"a": safe_entry(offsets=[16, 0])}), "", "The end before the start."),
    "offsets_of_three": (safetensors_file({"a": safe_entry(offsets=[0, 8, 16])}), "is incomplete", "Three offsets."),
    "offsets_beyond": (safetensors_file({"a": safe_entry([8], [0, 32])}), "the file has 16", "Bytes behind the end of the file."),
    "offsets_overlap": (safetensors_file({"a": safe_entry(), "b": safe_entry()}), "overlap another", "Two tensors over the same bytes."),
    "offsets_with_hole": (safetensors_file({"a": safe_entry([2], [0, 8]), "b": safe_entry([1], [12, 16])}), "leave a hole", "A hole, where anything may hide."),
    "bytes_behind": (safetensors_file({"a": safe_entry()}, FOUR + b"hidden"), "the file has 22", "Bytes behind the last tensor."),
    "metadata_of_list": (safetensors_file({"__metadata__": [1], "a": safe_entry()}), "metadata", "A list for the metadata."),
    "metadata_of_numbers": (safetensors_file({"__metadata__": {"a": 1}, "a": safe_entry()}), "metadata", "Numbers in the metadata, where only text may be."),
}  # fmt: skip

for _name, (_data, _refused, _tries) in SAFE.items():

    def _write(folder: Path, data: bytes = _data) -> Path:
        path = folder / "model.safetensors"
        path.write_bytes(data)
        return path

    attack(refused=_refused, name=f"safetensors_{_name}", tries=_tries)(_write)


# -- sharded -------------------------------------------------------------------------------------------------------


def write_index(folder: Path, weight_map: Any, **more: Any) -> Path:
    """A shard, and an index as given."""
    (folder / "shard.safetensors").write_bytes(safetensors_file({"a": safe_entry()}))
    (folder.parent / "outside.safetensors").write_bytes(safetensors_file({"a": safe_entry()}))
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map, **more}), "utf-8")
    return path


INDEX: dict[str, tuple[Any, str, str]] = {
    "traversal": ({"a": "../outside.safetensors"}, "no bare file name", "A shard in the folder above."),
    "absolute": ({"a": "/etc/passwd"}, "no bare file name", "A shard at an absolute path."),
    "backslash": ({"a": "..\\outside.safetensors"}, "no bare file name", "A shard in the folder above, for Windows."),
    "itself_dot": ({"a": "."}, "no bare file name", "The folder itself."),
    "folder_above": ({"a": ".."}, "no bare file name", "The folder above."),
    "empty_name": ({"a": ""}, "no bare file name", "A shard without a name."),
    "nul": ({"a": "a\0b"}, "can't be opened", "A NUL in a shard's name."),
    "surrogate": ({"a": "\ud800"}, "can't be opened", "A lone surrogate in a shard's name."),
    "long_name": ({"a": "x" * 5000}, "no bare file name", "A shard's name of 5,000 letters."),
    "number": ({"a": 7}, "should be a text", "A number for a shard."),
    "deep_list": ({"a": [[[[]]]]}, "should be a text", "A list for a shard."),
    "missing_shard": ({"a": "gone.safetensors"}, "can't be opened", "A shard that is not there."),
    "missing_tensor": ({"b": "shard.safetensors"}, "does not hold it", "A tensor that its shard does not hold."),
    "itself": ({"a": "model.safetensors.index.json"}, "itself", "An index that is its own shard: endless."),
    "no_map": (None, "no weight_map", "An index without a map."),
    "map_of_list": (["a"], "should be an object", "A list for the map."),
    "thousands_of_shards": ({str(n): f"{n}.bin" for n in range(10_000)}, "can't be opened", "Ten thousand shards."),
}

for _name, (_map, _refused, _tries) in INDEX.items():

    def _write_index(folder: Path, weight_map: Any = _map) -> Path:
        return write_index(folder, weight_map)

    attack(refused=_refused, name=f"index_{_name}", tries=_tries)(_write_index)


@attack(refused="itself")
def index_of_indexes(folder: Path) -> Path:
    """Two indexes that name each other."""
    (folder / "b.json").write_text(json.dumps({"weight_map": {"a": "a.json"}}), "utf-8")
    path = folder / "a.json"
    path.write_text(json.dumps({"weight_map": {"a": "b.json"}}), "utf-8")
    return path


@attack(refused="is not a regular file")
def index_names_a_folder(folder: Path) -> Path:
    """A shard that is a folder, with a checkpoint in it."""
    (folder / "inner").mkdir()
    (folder / "inner" / "model.safetensors").write_bytes(safetensors_file({"a": safe_entry()}))
    return write_index(folder, {"a": "inner"})


@attack()
def index_metadata_of_junk(folder: Path) -> Path:
    """Metadata that is no object."""
    return write_index(folder, {"a": "shard.safetensors"}, metadata=[1, 2, 3])


@attack(refused="no real file")
def index_of_empty_objects(folder: Path) -> Path:
    """An index of 17 million empty objects: thirty bytes of memory for each byte."""
    path = folder / "model.index.json"
    path.write_bytes(b'{"weight_map": {"a": [' + b"{}," * 17_000_000 + b"{}]}}")
    return path


@attack(refused="no real file")
def safetensors_header_of_empty_objects(folder: Path) -> Path:
    """The same in the header of a safetensors file."""
    path = folder / "model.safetensors"
    path.write_bytes(safetensors_file(b'{"a": [' + b"{}," * 17_000_000 + b"{}]}"))
    return path


@attack(refused="larger than any real one")
def index_of_a_terabyte(folder: Path) -> Path:
    """A sparse file that begins like an index."""
    path = folder / "model.index.json"
    with path.open("wb") as file:
        file.write(b'{"weight_map": {')
        file.truncate(1 << 40)
    return path


# -- .pt2 ------------------------------------------------------------------------------------------------------------

META = {
    "dtype": 7,
    "sizes": [{"as_int": 4}],
    "strides": [{"as_int": 1}],
    "storage_offset": {"as_int": 0},
    "requires_grad": False,
}


def pt2(config: Any) -> bytes:
    """An exported program of layout C with one weight."""
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()
    return zip_file(
        [
            Entry("net/archive_format", b"pt2"),
            Entry("net/data/weights/model_weights_config.json", raw),
            Entry("net/data/weights/weight_0", FOUR),
        ]
    )


def weight(**changes: Any) -> bytes:
    """A configuration whose one tensor is described by `META` with changes."""
    entry = {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": {**META, **changes}}
    return pt2({"config": {"w": entry}})


PT2 = {
    "config_of_list": (pt2({"config": [1]}), "is incomplete", "A list for the configuration."),
    "config_is_a_list": (pt2([1]), "JSON is no object", "A list for the whole file."),
    "config_missing": (pt2({}), None, "No configuration: an empty program."),
    "entry_of_text": (pt2({"config": {"w": "path_name"}}), "is incomplete", "Text for a weight."),
    "entry_of_nothing": (pt2({"config": {"w": None}}), "is incomplete", "null for a weight."),
    "path_of_list": (pt2({"config": {"w": {"path_name": [[]]}}}), "is missing", "A list for a path."),
    "path_traversal": (pt2({"config": {"w": {"path_name": "../../../x"}}}), "is missing", "A path out of the archive."),
    "dtype_unknown": (weight(dtype=99), "an unknown element type", "A dtype of number 99."),
    "dtype_of_list": (weight(dtype=[7]), "is incomplete", "A list for a dtype."),
    "dtype_of_object": (weight(dtype={"a": 1}), "is incomplete", "An object for a dtype."),
    "sizes_of_number": (weight(sizes=4), "is incomplete", "A number for the sizes."),
    "sizes_of_numbers": (weight(sizes=[4]), "is incomplete", "Numbers for symbolic sizes."),
    "sizes_symbolic": (weight(sizes=[{"as_expr": {"expr_str": "__import__('os').system('x')"}}]), "is incomplete", "An expression for a size, which torch hands to sympy: `eval`."),
    "sizes_negative": (weight(sizes=[{"as_int": -4}]), "lies outside its storage", "A negative size."),
    "sizes_too_large": (weight(sizes=[{"as_int": 1 << 40}]), "lies outside its storage", "2**40 elements."),
    "offset_of_text": (weight(storage_offset={"as_int": "0"}), "lies outside its storage", "Text for an offset."),
    "nested_100_000": (pt2(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "nested more than", "JSON 100,000 levels deep."),
    "pickled_weight": (pt2({"config": {"w": {"path_name": "weight_0", "use_pickle": True}}}), "no directory at its end", "A weight that is said to be a zip."),
    "no_weights": (zip_file([Entry("net/archive_format", b"pt2")]), "holds no weights", "A program without weights."),
    "layout_a_damaged": (zip_file([Entry("serialized_state_dict.pt", b"PK\x03\x04" + bytes(30))]), "no directory at its end", "A state dict that is no zip."),
    "layout_b_two_levels": (zip_file([Entry("net/archive_format", b"pt2"), Entry("net/data/weights/w.pt", zip_file([Entry("inner", torch_zip(dict_of((text("w"), tensor()))))]))]), "holds no pickle", "An archive in an archive in an archive."),
    "script_json_of_list": (zip_file([Entry("net/model.json", b"[1]")]), "", "A TorchScript description of 1.0 that is a list."),
    "script_json_nested": (zip_file([Entry("net/model.json", b'{"mainModule":' * 100_000 + b"1" + b"}" * 100_000)]), "", "The same, nested 100,000 deep."),
    "script_json_of_junk": (zip_file([Entry("net/model.json", b'{"tensors": [{"dims": ["x"], "offset": -1, "strides": 3, "data": {"key": "../../x"}}], "mainModule": {"parameters": [{"tensorId": 99}], "submodules": 7}}')]), "", "The same, with fields of the wrong kinds."),
}  # fmt: skip

for _name, (_data, _refused, _tries) in PT2.items():

    def _write_pt2(folder: Path, data: bytes = _data) -> Path:
        path = folder / "model.pt2"
        path.write_bytes(data)
        return path

    attack(refused=_refused, name=f"pt2_{_name}", tries=_tries)(_write_pt2)


@attack(refused="")
def safetensors_header_of_4_gigabytes(folder: Path) -> Path:
    """A sparse file whose header is said, truly, to have four gigabytes."""
    path = folder / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 4 << 30) + b'{"a": 1}')
        file.truncate(5 << 30)
    return path
