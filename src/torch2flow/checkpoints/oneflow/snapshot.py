"""Writes the snapshot folder of OneFlow before 0.7: a folder per variable, named by its key, and `snapshot_done`.

    out/fc.weight/meta, out/fc.weight/out     as in the checkpoint folder
    out/snapshot_done                         empty; without it `flow.load` refuses

`flow.load` gives a plain dict in the order of the directory. Follows `legacy_load` in
`oneflow/framework/check_point_v2.py` (0.9.0).
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from torch2flow.checkpoints.oneflow.folder import tensor_meta
from torch2flow.checkpoints.writing import ConversionPlan
from torch2flow.checkpoints.writing.entry_bytes import Progress, write_entry
from torch2flow.checkpoints.writing.kernel_copy import place, write_file
from torch2flow.checkpoints.writing.manifest import MANIFEST
from torch2flow.checkpoints.writing.options import is_unicode

SNAPSHOT_DONE = "snapshot_done"
MAX_NAME = 255


def objection_to_name(name: str) -> str:
    """Says why there can't be a folder of this name in a snapshot; "" where there can."""
    if not is_unicode(name):
        return "it is no text that UTF-8 can write"
    if name in ("", ".", "..", SNAPSHOT_DONE, MANIFEST) or "/" in name or "\0" in name or len(name.encode()) > MAX_NAME:
        return "the format makes a folder of this name, and there can be none"
    return ""


def write_snapshot(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes every name as a folder of its own; tied tensors become copies, the format knows no ties.

    Raises:
        FormatError: the source is damaged.
        OSError: the folder can't be written.
    """
    path.mkdir(exist_ok=True)
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for entry in plan.entries:
            for name in entry.names:
                place(
                    root,
                    name,
                    tensor_meta(entry),
                    partial(write_entry, entry, progress=progress, hashing=hashing),
                )
            entry.place = entry.names[0]
    finally:
        os.close(root)
    write_file(path / SNAPSHOT_DONE, b"")
