"""Writes the checkpoint folder that `flow.load` reads, in OneFlow 0.7 to 1.x, without OneFlow.

    out/pickled_data              {"protocol_version": 1, "data": object}; a tensor's state is its path
    out/weights/fc.weight/meta    shape { dim: 10 dim: 512 } data_type: kFloat, as protobuf text
    out/weights/fc.weight/out     the elements: C order, little endian
    out/manifest.json             ours; flow.load does not look at it

Follows `oneflow/framework/check_point_v2.py` (`flow.save`, `_save_tensor_to_disk`; 0.9.0).
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES
from torch2flow.checkpoints.oneflow.pickled_object import PROTOCOL_VERSION, encode
from torch2flow.checkpoints.writing import ConversionPlan, Entry
from torch2flow.checkpoints.writing.entry_bytes import Progress, entry_parts, write_entry
from torch2flow.checkpoints.writing.kernel_copy import place, write_file
from torch2flow.checkpoints.writing.second_process import shared_work

WEIGHTS = "weights"
PICKLED_DATA = "pickled_data"

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
"""Keys that are safe as file names: no separators, no leading dot, no characters that are special in a shell."""


def assign_places(entries: list[Entry]) -> None:
    """Names each tensor's folder after the tensor where that makes a safe file name, otherwise by number."""
    taken: set[str] = set()
    for number, entry in enumerate(entries):
        name = entry.names[0]
        # Case is folded: on some file systems "A" and "a" are one file.
        safe = _SAFE.fullmatch(name) is not None and name.casefold() not in taken
        folder = name if safe else f"tensor_{number}"
        while folder.casefold() in taken:
            folder += "_"
        taken.add(folder.casefold())
        entry.place = f"{WEIGHTS}/{folder}"


def tensor_meta(entry: Entry) -> bytes:
    """The `meta` file: a shape and a data type, as protobuf text."""
    dims = "".join(f"  dim: {size}\n" for size in entry.shape)
    return f"shape {{\n{dims}}}\ndata_type: {DATA_TYPES[entry.stored.name][0]}\n".encode()


def write_folder(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes all tensors and `pickled_data`, sharing the work with a second process where there is enough of it.

    A tensor that an interrupted run completed is kept where its bytes are those of the source.

    Raises:
        FormatError: the source is damaged.
        SourceChangedError: the source became shorter.
        SourceReadError: it can't be read.
        OSError: the folder can't be written.
    """
    assign_places(plan.entries)
    weights = path / WEIGHTS
    weights.mkdir(parents=True, exist_ok=True)
    todo = plan.entries
    if not hashing and any(os.scandir(weights)):
        todo = [entry for entry in todo if not _is_complete(path / entry.place, entry)]
        progress(plan.nbytes - sum(entry.nbytes for entry in todo))
    root = os.open(weights, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with shared_work(todo, weights, tensor_meta, progress, enabled=not hashing) as (mine, wrote):
            value = {"protocol_version": PROTOCOL_VERSION, "data": plan.tree}
            stream = encode(plan, value, lambda entry: {"path": entry.place})
            write_file(path / PICKLED_DATA, stream)
            for entry in mine:
                write = partial(write_entry, entry, progress=wrote, hashing=hashing)
                place(root, entry.place[len(WEIGHTS) + 1 :], tensor_meta(entry), write)
    finally:
        os.close(root)


def _is_complete(folder: Path, entry: Entry) -> bool:
    """Whether a folder holds all of a tensor: the same bytes as the source, under no second name."""
    try:
        with open(folder / "out", "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_size != entry.nbytes or status.st_nlink != 1:
                return False
            if (folder / "meta").lstat().st_nlink != 1 or (folder / "meta").read_bytes() != tensor_meta(entry):
                return False
            return all(stream.read(len(part)) == part for part in entry_parts(entry))
    except OSError:
        return False
