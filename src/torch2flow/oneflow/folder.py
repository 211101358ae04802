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
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torch2flow.copying import Progress, write_all, write_entry
from torch2flow.oneflow.dtypes import DATA_TYPES
from torch2flow.oneflow.encoding import PROTOCOL_VERSION, encoder
from torch2flow.pickles import write_pickle
from torch2flow.plan import Entry, Plan

WEIGHTS = "weights"
PICKLED_DATA = "pickled_data"
WORKERS = 2
"""File creation and copying wait on the kernel, not on Python; more than two contend for its locks."""

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}")
"""Keys that are file names everywhere: no separators, nothing hidden, nothing a shell would trip over."""


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
    """The `meta` file: protobuf text of `oneflow.LegacyTensorProto`-like shape and data type."""
    dims = "".join(f"  dim: {size}\n" for size in entry.shape)
    return f"shape {{\n{dims}}}\ndata_type: {DATA_TYPES[entry.stored.name][0]}\n".encode()


def write_folder(plan: Plan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes all tensors, then `pickled_data`: without it, a folder is no checkpoint.

    A tensor that an interrupted run completed is kept: its `meta` is written last.

    Raises:
        FormatError: the source is damaged.
        OSError: the folder can't be written.
    """
    assign_places(plan.entries)
    weights = path / WEIGHTS
    weights.mkdir(exist_ok=True)
    root = os.open(weights, os.O_RDONLY | os.O_DIRECTORY)
    try:
        done = set(os.listdir(root))
        metas: dict[tuple[tuple[int, ...], str], bytes] = {}

        def write(entry: Entry) -> None:
            folder = entry.place[len(WEIGHTS) + 1 :]
            kind = (entry.shape, entry.stored.name)
            meta = metas.get(kind)
            if meta is None:
                meta = metas[kind] = tensor_meta(entry)
            if folder in done and not hashing and _is_complete(weights / folder, entry, meta):
                progress(entry.nbytes)
                return
            if folder not in done:
                os.mkdir(folder, dir_fd=root)
            fd = os.open(
                f"{folder}/out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=root
            )
            try:
                write_entry(entry, fd, progress, hashing)
            finally:
                os.close(fd)
            fd = os.open(
                f"{folder}/meta", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=root
            )
            try:
                write_all(fd, meta)
            finally:
                os.close(fd)

        run_parallel(write, plan.entries)
    finally:
        os.close(root)
    value = {"protocol_version": PROTOCOL_VERSION, "data": plan.tree}
    data = write_pickle(value, encoder(plan, lambda entry: {"path": entry.place}))
    (path / PICKLED_DATA).write_bytes(data)


def _is_complete(folder: Path, entry: Entry, meta: bytes) -> bool:
    try:
        return (folder / "out").stat().st_size == entry.nbytes and (folder / "meta").read_bytes() == meta
    except OSError:
        return False


def run_parallel(write: object, entries: list[Entry]) -> None:
    """Calls `write` on every entry, in runs of neighbours on a few threads; the first error ends all."""
    assert callable(write)
    stop = False

    def run(part: list[Entry]) -> None:
        nonlocal stop
        try:
            for entry in part:
                if stop:
                    return
                write(entry)
        except BaseException:
            stop = True
            raise

    if len(entries) < 2 or sys.platform == "darwin":
        return run(entries)
    size = max(1, min(256, len(entries) // (4 * WORKERS)))
    parts = [entries[start : start + size] for start in range(0, len(entries), size)]
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(run, part) for part in parts]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop = True
            raise
    return None
