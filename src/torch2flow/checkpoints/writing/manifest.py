"""`manifest.json`: what was converted, from what, by which rules, and what was not; enough to check it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.writing.conversion_plan import ConversionPlan, Entry
from torch2flow.guards.json_text import to_json_text

MANIFEST = "manifest.json"
SCHEMA = 1

LEFT_OUT = "left out by --include/--exclude"


def sidecar(path: Path) -> Path:
    """Where the manifest of a file or of a snapshot lies: beside it, because it can't lie inside."""
    if path.name in ("", ".."):
        path = Path(os.path.abspath(path))
    return path.parent / f"{path.name}.{MANIFEST}"


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
    chosen = plan.checkpoint.key
    if chosen != ".":
        root = plan.checkpoint.root
        for key in root if isinstance(root, dict) else ():
            if not (str(key) == chosen or chosen.startswith(f"{key}.")):
                rows.append(
                    {
                        "name": str(key),
                        "reason": f"not part of {chosen!r}; --key {key} or --key . converts it",
                    }
                )
    return rows


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


def write_manifest(head: dict[str, Any], rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Writes it with one tensor a line: readable, and small to compare.

    Raises:
        OSError: the file can't be written.
    """
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(to_json_text(head, indent=2)[:-2])
        separator = ',\n  "tensors": [\n    '
        for row in rows:
            stream.write(separator + to_json_text(row))
            separator = ",\n    "
        stream.write("\n  ]\n}\n" if separator == ",\n    " else ',\n  "tensors": []\n}\n')
