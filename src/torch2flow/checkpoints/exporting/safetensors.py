"""Writes `.safetensors`: an 8-byte length, a JSON header, and all tensors' bytes without holes.

Follows the format's README (safetensors 0.8). The header is padded with spaces so that the data begins at a
multiple of 8, and tensors go by falling element size, so that each is aligned to its own.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.writing import ConversionPlan
from torch2flow.checkpoints.writing.entry_bytes import Progress, write_entry
from torch2flow.checkpoints.writing.kernel_copy import create, write_all
from torch2flow.checkpoints.writing.options import is_unicode
from torch2flow.errors import UnsupportedError
from torch2flow.guards.json_text import to_json_text

METADATA = "__metadata__"
MAX_HEADER = 100_000_000  # safetensors 0.8, tensor.rs, MAX_HEADER_SIZE


def objection_to_name(name: str) -> str:
    """Says why there can't be a tensor of this name in such a file; "" where there can."""
    if name == METADATA:
        return "this is where the format has its text"
    return "it is no text that UTF-8 can write" if not is_unicode(name) else ""


def write_safetensors(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes every name; the format knows no ties, so tied tensors become copies.

    Raises:
        UnsupportedError: there are more tensors than readers of the format accept.
        FormatError: the source is damaged.
        OSError: the file can't be written.
    """
    header = bytearray(b'{"__metadata__":' + _encoded(_metadata(plan)))
    order = sorted(plan.entries, key=lambda entry: -entry.stored.itemsize)
    at = 0
    for entry, name in ((each, name) for each in order for name in each.names):
        shape = list(entry.shape)
        if entry.stored.kind == "x" and shape:  # float4: the format counts elements, PyTorch pairs of them
            shape[-1] *= 2
        row = {"dtype": entry.stored.safetensors, "shape": shape, "data_offsets": [at, at + entry.nbytes]}
        header += b"," + _encoded(name) + b":" + _encoded(row)
        at += entry.nbytes
    header += b"}"
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise UnsupportedError(
            f"The names and shapes of {len(order):,} tensors take {len(header):,} bytes, and safetensors reads headers"
            f" of {MAX_HEADER:,} bytes at most.",
            remedy="take another --format, or convert a part with --include",
        )
    fd = create(path)
    try:
        write_all(fd, struct.pack("<Q", len(header)))
        write_all(fd, memoryview(header))
        for entry in order:
            for _ in entry.names:
                write_entry(entry, fd, progress, hashing)
    finally:
        os.close(fd)


def _encoded(value: Any) -> bytes:
    return to_json_text(value, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _metadata(plan: ConversionPlan) -> dict[str, str]:
    """The text metadata of the source, and `format: pt`, without which transformers refuses the file."""
    carried = plan.checkpoint.container.metadata.get(METADATA, {})
    return {"format": "pt", **{str(key): str(value) for key, value in carried.items()}}
