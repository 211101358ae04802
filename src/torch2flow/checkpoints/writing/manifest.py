"""`manifest.json`: what was converted, from what, by which rules, and what was not; enough to check it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.pytorch.tree import is_flat
from torch2flow.checkpoints.writing.conversion_plan import ConversionPlan, Entry
from torch2flow.checkpoints.writing.kernel_copy import create
from torch2flow.checkpoints.writing.renaming import beside, is_folder
from torch2flow.guards.json_text import to_json_text

MANIFEST = "manifest.json"
SCHEMA = 1
SMALL = 64 << 20
"""Files of up to so many bytes get a hash in the manifest: it tells whether a user edited them."""

LEFT_OUT = "left out by --include/--exclude"


def sidecar(path: Path) -> Path:
    """Where the manifest of a file or of a snapshot lies: beside it, because it can't lie inside."""
    if path.name in ("", ".."):
        path = Path(os.path.abspath(path))
    return beside(path, "", f".{MANIFEST}")


def describe(plan: ConversionPlan, output_format: str, version: str, source_sha256: str = "") -> dict[str, Any]:
    """The manifest of a plan as plain data, without its tensors: those are `tensor_rows`."""
    checkpoint, options = plan.checkpoint, plan.options
    files = [
        {
            "name": file.path.name,
            "bytes": file.size,
            "modified": _when(file.status.st_mtime),
        }
        for file in checkpoint.container.files
    ]
    source = {
        "name": checkpoint.path.name,
        "format": checkpoint.format,
        "producer": checkpoint.container.producer,
        "files": files,
    }
    if source_sha256:
        source["sha256"] = source_sha256
    return {
        "schema": SCHEMA,
        "torch2flow": version,
        "format": output_format,
        "source": source,
        "key": checkpoint.key,
        "key_reason": checkpoint.reason,
        "options": {name: getattr(options, name) for name in options.__slots__},
        "ties": plan.ties,
        "shared_storage": checkpoint.overlaps,
        "not_converted": not_converted(plan),
        "opaque": checkpoint.container.opaque,
        "notes": plan.notes,
    }


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # a year that no calendar of Python's has
        return f"{seconds:.0f} seconds after 1970"


def not_converted(plan: ConversionPlan) -> list[dict[str, str]]:
    """Every part of the source that is not in the output, with the reason."""
    rows = [{"name": name, "reason": LEFT_OUT} for name in plan.naming.skipped]
    rows += [{"name": where, "reason": why} for where, why in plan.checkpoint.unnamed]
    chosen = plan.checkpoint.key
    if chosen != ".":
        for name in _beside(plan.checkpoint.root, chosen, ""):
            rows.append({"name": name, "reason": f"not part of {chosen!r}; --key {name} or --key . converts it"})
    return rows


def _beside(value: Any, chosen: str, prefix: str) -> Iterator[str]:
    """The parts of a dictionary that are not on the way to the chosen one, level by level down to its state dict."""
    for key in value if isinstance(value, dict) else ():
        name = f"{prefix}{key}"
        if chosen.startswith(f"{name}."):
            if not (isinstance(value[key], dict) and is_flat(value[key])):
                yield from _beside(value[key], chosen, f"{name}.")
        elif name != chosen:
            yield name


def tensor_row(plan: ConversionPlan, entry: Entry) -> dict[str, Any]:
    """One tensor's row; keys that say nothing are left out."""
    row: dict[str, Any] = {
        "name": entry.names[0],
        "dtype": entry.dtype.name,
        "shape": list(entry.shape),
        "bytes": entry.nbytes,
    }
    if entry.place:
        row["path"] = entry.place
    if len(entry.names) > 1:
        row["also"] = entry.names[1:]
    sources = plan.naming.sources
    if sources and any(name in sources for name in entry.names):
        row["source"] = [sources.get(name, name) for name in entry.names]
    if entry.stored is not entry.dtype:
        row["stored"] = entry.stored.name
    if entry.change:
        row["change"] = entry.change
        row["source_dtype"] = entry.tensor.dtype.name
        attributes = getattr(entry.tensor, "attributes", None)
        if attributes:
            row["source_attributes"] = {
                key: value for key, value in attributes.items() if isinstance(value, str | int | float)
            }
    if entry.crc32 is not None:
        row["crc32"] = f"{entry.crc32:08x}"
    if entry.sha256:
        row["sha256"] = entry.sha256
    return row


def tensor_rows(plan: ConversionPlan) -> Iterator[dict[str, Any]]:
    """A row for each tensor."""
    return (tensor_row(plan, entry) for entry in plan.entries)


def file_rows(output: Path, described: Container[str] = ()) -> list[dict[str, Any]]:
    """The files of an output that no row of a tensor describes: their paths, sizes, and hashes where they are small.

    Args:
        output: as it was written; the path of a single file is ".".
        described: sub-folders that hold tensors with a row of their own. Those that have a manifest are left out too,
            but for the manifest.

    Raises:
        OSError: a file can't be read.
    """
    if not is_folder(output):
        return [_file_row(output, ".")]
    rows, pending = [], [""]
    while pending:
        inner = pending.pop()
        for name in sorted(os.listdir(output / inner)):
            path = f"{inner}/{name}" if inner else name
            if path == MANIFEST:
                continue  # of an interrupted run
            if not is_folder(output / path):
                rows.append(_file_row(output / path, path))
            elif (output / path / MANIFEST).is_file():
                rows.append(_file_row(output / path / MANIFEST, f"{path}/{MANIFEST}"))
            elif path not in described:
                pending.append(path)
    return rows


def _file_row(file: Path, path: str) -> dict[str, Any]:
    size = file.lstat().st_size
    row: dict[str, Any] = {"path": path, "bytes": size}
    if size <= SMALL:
        row["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return row


def write_manifest(head: dict[str, Any], rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes it with one tensor a line: readable, and small to compare.

    Raises:
        OSError: the file can't be written.
    """
    with open(create(path), "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(to_json_text(head, indent=2)[:-2])
        separator = ',\n  "tensors": [\n    '
        for row in rows:
            stream.write(separator + to_json_text(row))
            separator = ",\n    "
        stream.write("\n  ]\n}\n" if separator == ",\n    " else ',\n  "tensors": []\n}\n')
