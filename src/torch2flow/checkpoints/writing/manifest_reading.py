"""Reads a manifest, which lies where anyone can edit it: what every field must be is said here, and checked once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.names.templates import SAME, Keys
from torch2flow.checkpoints.names.user_choice import Naming
from torch2flow.checkpoints.writing.manifest import LEFT_OUT, MANIFEST, SCHEMA, sidecar
from torch2flow.checkpoints.writing.options import Options
from torch2flow.checkpoints.writing.staging import pending
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import MOST_BYTES, parse_json
from torch2flow.guards.records import Count, Demand, Name, checked
from torch2flow.guards.regular_files import is_regular, read_whole

DTypeName = Annotated[str, Demand(lambda name: name in DTYPES, "the name of a dtype")]


class _Tensor(TypedDict):
    name: Name
    dtype: DTypeName
    shape: list[Count]
    bytes: Count


class TensorRow(_Tensor, total=False):
    """One tensor. `source` has its names before they were changed, `placed` the number of a placement and the axes."""

    path: str
    also: list[Name]
    source: list[Name]
    stored: DTypeName
    change: str
    source_dtype: DTypeName
    crc32: str
    sha256: str
    placed: tuple[Count, list[Count | None]]
    parameter: bool
    trainable: bool


class _File(TypedDict):
    path: Name
    bytes: Count


class FileRow(_File, total=False):
    """A file of the output beside the tensors; small ones have a hash, which tells whether a user edited them."""

    sha256: str


class SavedOptions(TypedDict, total=False):
    """What was asked for and decides the bytes; names are in the rows."""

    dtype: str
    strict_dtype: bool
    complex: Literal["", "real"]
    quantized: Literal["", "dequantize", "int"]
    sparse: Literal["", "dense"]
    merge_adapter: str


class Omission(TypedDict):
    """A part of the source that is not in the output."""

    name: Name
    reason: str


class SourceNote(TypedDict, total=False):
    """Where it came from."""

    name: str
    format: str


ModelNote = TypedDict("ModelNote", {"class": str}, total=False)
"""The generated source."""


class ZooNote(TypedDict):
    """The rules by which names differ from PyTorch's: `older` first, for those of a file that differ from today's."""

    keys: Any  # `Keys.from_json` looks at them
    older: Any
    key: str


class _Manifest(TypedDict):
    schema: Literal[1]
    format: Literal["folder", "file", "snapshot", "safetensors", "pth", "dcp", "ranks"]
    tensors: list[TensorRow]


class Manifest(_Manifest, total=False):
    """The whole."""

    source: SourceNote
    key: str
    options: SavedOptions
    not_converted: list[Omission]
    model: ModelNote
    zoo: ZooNote
    ranks: Count
    placements: list[Any]
    files: list[FileRow]
    torch2flow: str
    names: list[Name]
    weight_names: dict[str, str]


def read_manifest(path: Path) -> Manifest:
    """The manifest in or beside an output.

    Raises:
        FormatError: there is none, or it is damaged.
    """
    file = manifest_file(path)
    if not os.path.lexists(file):
        file = pending(path, 1) or file
    return load_manifest(file)


def load_manifest(file: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        FormatError: there is none, or it is damaged.
    """
    if not file.exists():
        raise FormatError(
            "There is no manifest.",
            where=str(file),
            maybe="this output was not written by torch2flow, or was moved without it",
        )
    value = parse_json(read_whole(file, MOST_BYTES), str(file))
    if isinstance(value, dict) and value.get("schema") != SCHEMA:
        raise FormatError(
            "The manifest is of another version.", where=str(file), remedy="use the torch2flow that wrote it"
        )
    return checked(Manifest, value, str(file))


def manifest_file(path: Path) -> Path:
    """Where the manifest of an output lies: inside it, or beside it."""
    return path / MANIFEST if is_regular(path / MANIFEST) else sidecar(path)


def manifest_keys(manifest: Manifest, where: str, which: Literal["keys", "older"] = "keys") -> Keys:
    """The rules by which names differ from PyTorch's. Only a twin of the zoo has any.

    Args:
        manifest: of a converted model.
        where: it lies.
        which: `older` for those by which a file's names differ from today's.

    Raises:
        FormatError: they are no rules.
    """
    return Keys.from_json(manifest["zoo"][which], where) if "zoo" in manifest else SAME


def saved_options(manifest: Manifest) -> Options:
    """The options that decide what became of a tensor's values."""
    saved: Any = manifest.get("options", {})
    return Options(manifest.get("key"), **{name: saved[name] for name in SavedOptions.__annotations__ if name in saved})


def recorded_names(manifest: Manifest, found: Iterable[str]) -> Naming:
    """The names that the tensors of a source got, as the rows say: no pattern of a manifest is ever run.

    Args:
        manifest: of the output.
        found: the names in the source.
    """
    left_out = {row["name"] for row in manifest.get("not_converted", []) if row["reason"] == LEFT_OUT}
    new = {
        old: name
        for row in manifest["tensors"]
        for old, name in zip(row.get("source", []), [row["name"], *row.get("also", [])], strict=False)
    }
    naming = Naming({}, [])
    for name in found:
        if name in new or name not in left_out:
            naming.names[name] = new.get(name, name)
        else:
            naming.skipped.append(name)
    return naming
