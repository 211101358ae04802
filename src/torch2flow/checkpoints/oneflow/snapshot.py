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
from torch2flow.errors import UnsupportedError

SNAPSHOT_DONE = "snapshot_done"
MAX_NAME = 255


def write_snapshot(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes every name as a folder of its own; tied tensors become copies, the format knows no ties.

    Raises:
        UnsupportedError: a key is no possible folder name, or bfloat16, which this format can't hold.
        FormatError: the source is damaged.
        OSError: the folder can't be written.
    """
    bad = [name for entry in plan.entries for name in entry.names if not _possible(name)]
    if bad:
        raise UnsupportedError(
            f"{len(bad)} keys can't be folder names, which the snapshot format needs: {', '.join(map(repr, bad[:5]))}.",
            remedy="rename them with --rename, or use --format folder",
        )

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


def _possible(name: str) -> bool:
    taken = ("", ".", "..", SNAPSHOT_DONE, "manifest.json")
    return (
        name not in taken and "/" not in name and "\0" not in name and len(name.encode("utf-8", "replace")) <= MAX_NAME
    )
