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
from torch2flow.checkpoints.writing.kernel_copy import write_all
from torch2flow.guards.json_text import to_json_text


def write_safetensors(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes every name; the format knows no ties, so tied tensors become copies.

    Raises:
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
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
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
    carried = plan.checkpoint.container.metadata.get("__metadata__", {})
    return {"format": "pt", **{str(key): str(value) for key, value in carried.items()}}
