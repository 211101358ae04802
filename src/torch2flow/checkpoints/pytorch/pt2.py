"""`.pt2` files of `torch.export.save`: their weights and constants, in the three layouts of 2.1 to 2.15.

    A (2.1 to 2.7)   serialized_state_dict.pt (2.1, 2.2: .json), serialized_constants.pt: files of torch.save
    B (2.8)          stem/data/weights/NAME.pt, stem/data/constants/NAME.pt: files of torch.save
    C (2.9 on)       stem/data/weights/weight_N, raw bytes, described by NAME_weights_config.json;
                     stem/data/constants/tensor_N, described by NAME_constants_config.json

Follows `torch/_export/serde/{serialize,schema}.py` and `torch/export/pt2_archive/{_package,constants}.py`.
The graph itself is read by `program/`; nothing here evaluates an expression or resolves a name.
"""

from __future__ import annotations

import re
from typing import Any

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.pickles import StatefulDict, label
from torch2flow.checkpoints.pytorch.archive import open_bytes_range
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Storage, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.zip import ZipArchive
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_object

SCALAR_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
"""The numbers of `ScalarType` in `torch/_export/serde/schema.py` (2.13), which are not those of c10."""

_PROGRAM = re.compile(r"(^|/)(serialized_exported_program\.json|models/[^/]*\.json)$")
_FACTS = re.compile(r"(^|/)(extra_files|extra)/torch2flow\.json$")
_OTHER = re.compile(r"(^|/)(extra_files|extra)/torch2flow_other_mode\.json$")
"""What `torch2flow capture` adds: layout A has the first folder, the others the second."""

_LAYOUT_A = {
    "state_dict": ("serialized_state_dict.pt", "serialized_state_dict.json"),
    "constants": ("serialized_constants.pt", "serialized_constants.json"),
}


def is_pt2(archive: ZipArchive) -> bool:
    """Whether a zip is an exported program."""
    names = archive.records
    return any(name in names for name in _LAYOUT_A["state_dict"]) or any(
        name.endswith("archive_format") or "/models/" in name for name in names
    )


def is_program(record: str) -> bool:
    """Whether a record of the archive is the program itself."""
    return _PROGRAM.search(record) is not None


def open_pt2(archive: ZipArchive) -> Container:
    """The state dict and the constants of an exported program.

    Raises:
        FormatError: the layout is none of the three, or a payload is missing or too short.
    """
    met: dict[str, int] = {}
    if any(name in archive for name in _LAYOUT_A["state_dict"]):
        return _container(
            archive,
            "A, PyTorch 2.1 to 2.7",
            {part: _saved(archive, names, met) for part, names in _LAYOUT_A.items()},
            met,
        )
    parts: dict[str, Any] = {}
    layout = "C, PyTorch 2.9 or newer"
    for part, folder in (("state_dict", "data/weights/"), ("constants", "data/constants/")):
        configs = [name for name in archive.records if f"{folder}" in name and name.endswith("_config.json")]
        saved = [name for name in archive.records if folder in name and name.endswith(".pt")]
        if configs:
            parts[part] = _described(archive, configs, met)
        elif saved:
            parts[part], layout = _saved(archive, tuple(saved), met), "B, PyTorch 2.8"
    if "state_dict" not in parts:
        raise FormatError(
            "The exported program holds no weights in a place that torch2flow knows.",
            where=str(archive.file.path),
            maybe="it was written by a newer PyTorch, or is an AOTInductor package, which holds machine code",
        )
    return _container(archive, layout, parts, met)


def _container(archive: ZipArchive, layout: str, parts: dict[str, Any], met: dict[str, int]) -> Container:
    root = {part: value for part, value in parts.items() if value}
    program, facts, other = (
        next((archive.range(name) for name in archive.records if pattern.search(name)), None)
        for pattern in (_PROGRAM, _FACTS, _OTHER)
    )
    producer = f"torch.export, layout {layout}"
    return Container("pt2", root, [archive.file], producer, met, program=program, facts=facts, other_program=other)


def _saved(archive: ZipArchive, names: tuple[str, ...], met: dict[str, int]) -> Any:
    """The object in the first of these records that exists: a file of torch.save, a zip again."""
    for name in names:
        if name in archive:
            offset, size = archive.range(name)
            return open_bytes_range(archive.file, offset, size, met) if size else {}
    return {}


def _described(archive: ZipArchive, configs: list[str], met: dict[str, int]) -> StatefulDict:
    """Reads raw payloads by the JSON that describes them."""
    tensors = StatefulDict()
    storages: dict[str, Storage] = {}
    for config in configs:
        folder = config.rpartition("/")[0]
        entries = parse_object(archive.read(config), config).get("config", {})
        if not isinstance(entries, dict):
            raise FormatError("The description of the weights is incomplete.", where=f"{archive.file.path}, {config}")
        for name, entry in entries.items():
            try:
                payload = f"{folder}/{label(entry['path_name'])}"
                if payload.rpartition("/")[2].startswith(("custom_obj", "opaque_obj")):
                    continue  # a pickled script object: no tensor, and nothing that may be run
                offset, size = archive.range(payload)
                if entry.get("use_pickle"):
                    tensors[name] = open_bytes_range(archive.file, offset, size, met)
                    continue
                if payload not in storages:
                    crc = archive.records[payload].crc32 or None
                    storages[payload] = Storage(payload, size, archive.file, offset, crc32=crc)
                tensors[name] = _tensor(entry["tensor_meta"], storages[payload], bool(entry.get("is_param")))
            except (KeyError, TypeError, AttributeError) as error:
                raise FormatError(
                    f"The description of {name[:200]!r} is incomplete ({str(error)[:100]}).",
                    where=f"{archive.file.path}, {config}",
                ) from None
    return tensors


def _tensor(meta: dict[str, Any], storage: Storage, is_parameter: bool) -> Tensor:
    dtype = DTYPES.get(SCALAR_TYPES.get(meta["dtype"], ""))
    if dtype is None:
        raise FormatError(
            f"The file names an unknown element type: {meta['dtype']!r:.40}.",
            maybe="it is newer than torch2flow",
        )
    shape = tuple(size["as_int"] for size in meta["sizes"])
    if (meta.get("device") or {}).get("type") == "meta" and not storage.nbytes:
        # All tensors of the meta device have one payload of no bytes, whether they are one tensor or not.
        return CompositeTensor("meta", dtype, shape, {}, {}, bool(meta["requires_grad"]), is_parameter)
    # A payload of no bytes under a shape that has some is a fake tensor; PyTorch itself loads zeros for it.
    return TensorRef(
        dtype,
        shape,
        tuple(step["as_int"] for step in meta["strides"]),
        meta["storage_offset"]["as_int"],
        storage,
        bool(meta["requires_grad"]),
        is_parameter,
    )
