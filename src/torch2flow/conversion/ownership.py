"""What `--overwrite` may replace: an output of torch2flow as it was written, or a checkpoint and nothing beside it.

An output is as it was written when its manifest names every file in it. What OneFlow's or PyTorch's own functions
wrote has no manifest: of a folder each file must be of the kind that such a folder consists of, and a file must open as
a checkpoint. Whoever put something else there keeps it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from torch2flow.checkpoints.oneflow.folder import WEIGHTS
from torch2flow.checkpoints.opening import open_container
from torch2flow.checkpoints.pytorch.archive import find_pickle
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.zip import ZipArchive
from torch2flow.checkpoints.writing.manifest import MANIFEST, sidecar
from torch2flow.checkpoints.writing.manifest_reading import Manifest, load_manifest, read_manifest
from torch2flow.checkpoints.writing.renaming import COMPILED, is_folder
from torch2flow.checkpoints.writing.staging import Entries
from torch2flow.errors import FormatError, Torch2FlowError

PARTS = re.compile(
    r"(rank_\d+/)?(constants/)?((weights/)?[^/]+/(meta|out)|pickled_data|model\.py|__init__\.py|preprocessing\.py"
    r"|manifest\.json|snapshot_done|\.metadata|__0_0\.distcp)",
    re.DOTALL,
)
"""The paths of all files that a conversion writes into a folder."""

FLOW_SAVE = re.compile(r"pickled_data|snapshot_done|([^/]+/)+(meta|out)", re.DOTALL)
DCP_SAVE = re.compile(r"\.metadata|__\d+_\d+\.distcp")
"""The paths of all files in a folder of `flow.save`, and in one of `torch.distributed.checkpoint`."""

TORCH_SAVE = re.compile(
    r"[^/]+/(data\.pkl|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id|constants\.pkl"
    r"|model\.json|attributes\.pkl|((data|tensors|constants|code|extra|debug)/.*))",
    re.DOTALL,
)
"""The records in a file of `torch.save` or `torch.jit.save`."""

CHECKPOINTS = ("zip", "torchscript", "legacy", "tar", "safetensors", "oneflow-file", "pt2")
"""The formats of files that hold a checkpoint and can't hold much else. A pickle can be anything."""


def objection(out: Path, entries: Entries) -> str:
    """Says why a file or folder is not replaced by a checkpoint; "" where it may be.

    Raises:
        OSError: it can't be read.
    """
    try:
        if not is_folder(out):
            return _objection_to_file(out)
        stranger = next(_strangers(out, entries), "")
        return f"it is no checkpoint alone: it holds {stranger!r}, which was added or changed" if stranger else ""
    except Torch2FlowError as error:
        return error.what[:1].lower() + error.what[1:].rstrip(".")


def objection_to_manifest(file: Path, entries: Entries) -> str:
    """Says why a file beside an output is not replaced by its manifest; "" where it may be."""
    try:
        return "" if "torch2flow" in load_manifest(file) else "it is no manifest of torch2flow's"
    except FormatError:
        return "it is no manifest of torch2flow's"


def _objection_to_file(out: Path) -> str:
    if not stat.S_ISREG(out.lstat().st_mode):
        return "it is no regular file"
    try:
        if _is_as_written(out, out.lstat(), _described(load_manifest(sidecar(out)))["."]):
            return ""
    except (FormatError, KeyError):
        pass
    container = open_container(out)
    if container.format not in CHECKPOINTS:
        return "it is no checkpoint"
    if container.format in ("zip", "torchscript"):
        archive = ZipArchive(SourceFile(out))
        stem = (find_pickle(archive) or find_pickle(archive, "model.json") or "").rpartition("/")[0]
        for name in archive.names():
            if not name.startswith(f"{stem}/") or not TORCH_SAVE.fullmatch(name):
                return f"it holds {name!r}, which is no part of a checkpoint"
    return ""


def _strangers(folder: Path, entries: Entries) -> Iterator[str]:
    """What is in a folder that no conversion, and no other writer of checkpoints, left there: files, empty folders."""
    try:
        described: dict[str, Row] | None = _described(read_manifest(folder), folder)
    except FormatError:
        described = None
    names = {entry.name for entry in folder.iterdir()}
    kind = DCP_SAVE if ".metadata" in names else FLOW_SAVE
    marked = bool(names & {"pickled_data", "snapshot_done", ".metadata"})
    empty: set[str] = set()
    for name, status in entries:
        empty.discard(name.rpartition("/")[0])
        if stat.S_ISDIR(status.st_mode):
            empty.add(name)
            continue
        compiled = COMPILED.fullmatch(name)
        if not stat.S_ISREG(status.st_mode):
            yield name
        elif described is None:
            if not marked or not kind.fullmatch(name):
                yield name
        elif compiled:
            if f"{compiled[1]}{compiled[2]}.py" not in described:
                yield name
        elif name not in described or not _is_as_written(folder / name, status, described[name]):
            yield name
    # The folder of tensors is empty where there are none.
    yield from sorted(each for each in empty if each.rpartition("/")[2] not in (WEIGHTS, "__pycache__"))


Row = tuple[int, str]
"""Size of a file, or -1, and its sha256, or ""."""


def _described(manifest: Manifest, folder: Path | None = None) -> dict[str, Row]:
    """The files that a manifest names, and in a folder of ranks those that the ranks' manifests name.

    Raises:
        FormatError: a row can't be read.
    """
    found: dict[str, Row] = {MANIFEST: (-1, "")}
    try:
        for row in manifest["tensors"]:
            if "path" in row:
                more = row.get("also", []) if manifest["format"] == "snapshot" else []
                for place in (row["path"], *more):
                    # A tensor's own hash is left out: to read all values would take as long as to write them.
                    found[f"{place}/out"], found[f"{place}/meta"] = (row["bytes"], ""), (-1, "")
        for file in manifest.get("files", []):
            path = file["path"]
            found[path] = file["bytes"], file.get("sha256", "")
            if folder is not None and path.endswith(f"/{MANIFEST}"):
                inner = path[: -len(MANIFEST)]
                parts = _described(load_manifest(folder / path))
                found.update({f"{inner}{name}": row for name, row in parts.items() if name != MANIFEST})
    except (KeyError, TypeError, AttributeError):
        raise FormatError("A row of the manifest can't be read.") from None
    return found


def _is_as_written(file: Path, status: os.stat_result, row: Row) -> bool:
    size, digest = row
    return size in (-1, status.st_size) and (not digest or hashlib.sha256(file.read_bytes()).hexdigest() == digest)
