"""Writes the snapshot folder of OneFlow before 0.7: a folder per variable, named by its key, and `snapshot_done`.

    out/fc.weight/meta, out/fc.weight/out     as in the checkpoint folder
    out/snapshot_done                         empty; without it `flow.load` refuses

`flow.load` gives a plain dict in the order of the directory. Follows `legacy_load` in
`oneflow/framework/check_point_v2.py` (0.9.0).
"""

from __future__ import annotations

from pathlib import Path

from torch2flow.copying import Progress, write_entry
from torch2flow.errors import UnsupportedError
from torch2flow.oneflow.folder import run_parallel, tensor_meta
from torch2flow.plan import Entry, Plan

SNAPSHOT_DONE = "snapshot_done"
MAX_NAME = 255


def write_snapshot(plan: Plan, path: Path, progress: Progress, hashing: bool = False) -> None:
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

    def write(entry: Entry) -> None:
        for name in entry.names:
            folder = path / name
            folder.mkdir(exist_ok=True)
            with open(folder / "out", "wb", buffering=0) as stream:
                write_entry(entry, stream.fileno(), progress, hashing)
            (folder / "meta").write_bytes(tensor_meta(entry))
        entry.place = entry.names[0]

    run_parallel(write, plan.entries)
    (path / SNAPSHOT_DONE).touch()


def _possible(name: str) -> bool:
    taken = ("", ".", "..", SNAPSHOT_DONE, "manifest.json")
    return (
        name not in taken
        and "/" not in name
        and "\0" not in name
        and len(name.encode("utf-8", "replace")) <= MAX_NAME
    )
