"""`check`: is an output still what the conversion wrote, and is it what the source holds, bit for bit?"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.frameworks.adapters import merged
from torch2flow.checkpoints.names.renamed_checkpoint import renamed
from torch2flow.checkpoints.opening import open_checkpoint, open_container
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.pytorch.pieced_tensor import PiecedTensor
from torch2flow.checkpoints.pytorch.tensor import CHUNK
from torch2flow.checkpoints.sharding.rank_folders import is_ranks, rank_folder
from torch2flow.checkpoints.writing import Entry, make_plan
from torch2flow.checkpoints.writing.manifest_reading import (
    Manifest,
    TensorRow,
    manifest_file,
    manifest_keys,
    read_manifest,
    recorded_names,
    saved_options,
)
from torch2flow.checkpoints.writing.value_changes import cast, changed_chunks
from torch2flow.conversion.formats import target_of
from torch2flow.conversion.weights_apart import check_values, under_names_of

Progress = Callable[[int], None]


@dataclass(slots=True)
class Check:
    """What a check found.

    Attributes:
        path: the output.
        tensors: how many tensors were looked at.
        compared: how many of them by their bytes: against a sha256, a CRC-32, or the source.
        differences: one sentence for each thing that is not as it should be.
    """

    path: Path
    tensors: int = 0
    compared: int = 0
    differences: list[str] = field(default_factory=list)


def check(
    path: str | os.PathLike[str],
    against: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Check:
    """Compares an output with its manifest, and with the source it came from if that is given.

    Args:
        path: an output of `convert`.
        against: the source; the conversion is planned again with the options in the manifest.
        progress: called with each number of bytes compared.

    Raises:
        FormatError: there is no manifest, or output or source can't be read at all.
    """
    path = Path(path)
    manifest = read_manifest(path)
    result = Check(path)
    advance = progress or (lambda count: None)
    if is_ranks(path) and against is None:
        for rank in range(manifest.get("ranks", 0)):
            part = check(rank_folder(path, rank), progress=progress)
            result.tensors, result.compared = result.tensors + part.tensors, result.compared + part.compared
            result.differences += [f"rank {rank}: {sentence}" for sentence in part.differences]
        return result
    raw = open_checkpoint(path, ".")
    stored = {name: tensor for name, tensor in raw.items() if isinstance(tensor, TensorRef)}
    if against is not None:
        _compare_with_source(result, manifest, stored, Path(against), advance)
    else:
        _compare_with_manifest(result, manifest, stored, advance)
    return result


def _compare_with_manifest(result: Check, manifest: Manifest, stored: dict[str, TensorRef], advance: Progress) -> None:
    expected: set[str] = set()
    for row in manifest["tensors"]:
        names = [row["name"], *row.get("also", [])]
        expected.update(names)
        for name in names:
            tensor = stored.get(name)
            if tensor is None:
                result.differences.append(f"{name}: missing")
                continue
            result.tensors += 1
            if name == row["name"]:
                result.compared += _verify(result, name, row, tensor, advance)
    result.differences.extend(f"{name}: not in the manifest" for name in stored if name not in expected)


def _verify(result: Check, name: str, row: TensorRow, tensor: TensorRef, advance: Progress) -> bool:
    """Compares size and stored bytes with the manifest; returns whether there was a checksum to compare with."""
    file = tensor.storage.file
    if file is not None and row.get("path") and file.size != row["bytes"]:
        result.differences.append(f"{name}: {file.size} bytes, {row['bytes']} expected")
        return False
    if "sha256" not in row and "crc32" not in row:
        return False
    digest, crc = hashlib.sha256(), 0
    for part in _stored_bytes(tensor, row["bytes"]):
        digest.update(part)
        crc = zlib.crc32(part, crc)
        advance(len(part))
    if "sha256" in row and digest.hexdigest() != row["sha256"]:
        result.differences.append(f"{name}: its sha256 is not the manifest's")
    if "crc32" in row and f"{crc:08x}" != row["crc32"]:
        result.differences.append(f"{name}: its CRC-32 is not the one in the source archive")
    return True


def _stored_bytes(tensor: TensorRef, nbytes: int) -> Any:
    """The bytes of a tensor as they lie in the file, whatever dtype the tensor is read as."""
    source = getattr(tensor, "source", None) or tensor
    for start in range(0, nbytes, CHUNK):
        yield source.storage.read(source.byte_offset + start, min(CHUNK, nbytes - start))


def _compare_with_source(
    result: Check, manifest: Manifest, stored: dict[str, TensorRef], against: Path, advance: Progress
) -> None:
    options, where = saved_options(manifest), str(manifest_file(result.path))
    keys = manifest_keys(manifest, where)
    container = open_container(against)
    check_values(container, against)
    if manifest.get("source", {}).get("format") == "pt2" != container.format:  # convert --weights
        rows = ([row["name"], *row.get("also", [])] for row in manifest["tensors"])
        source = under_names_of(rows, manifest.get("weight_names", {}), Checkpoint(against, container))
    else:
        source = Checkpoint(against, container, manifest["zoo"]["key"] if "zoo" in manifest else options.key)
    if options.merge_adapter:
        source = merged(source, open_checkpoint(options.merge_adapter))
    source = renamed(renamed(source, manifest_keys(manifest, where, "older")), keys)
    plan = make_plan(source, options, target_of(manifest["format"]), partial(recorded_names, manifest))
    planned: set[str] = set()
    for entry in plan.entries:
        planned.update(entry.names)
        missing = [name for name in entry.names if name not in stored]
        result.differences.extend(f"{name}: missing" for name in missing)
        if missing:
            continue
        result.tensors += len(entry.names)
        result.compared += len(entry.names)
        tensor = stored[entry.names[0]]
        if isinstance(tensor, PiecedTensor):
            expected, found = _as_read(entry), (chunk.tobytes() for chunk in tensor.chunks())
        else:
            tensor = getattr(tensor, "source", None) or tensor
            expected, found = entry.chunks(), _stored_bytes(tensor, tensor.storage.nbytes)
        difference = _first_difference(expected, found, advance)
        if difference >= 0:
            result.differences.append(f"{entry.names[0]}: differs from the source at byte {difference}")
    listed = [name for row in manifest["tensors"] for name in (row["name"], *row.get("also", []))]
    for name in dict.fromkeys((*stored, *listed)):
        if name not in planned and not keys.is_flow_only(name):
            result.differences.append(f"{name}: not in the source")


def _as_read(entry: Entry) -> Any:
    """The values of an entry in the dtype in which they are read back from an output of torch2flow."""
    dtype = entry.tensor.dtype if entry.change == "widened" else entry.dtype
    return (cast(chunk, dtype) for chunk in changed_chunks(entry.tensor, entry.change))


def _first_difference(expected: Any, found: Any, advance: Progress) -> int:
    """Index of the first byte in which two streams of chunks differ, or -1."""
    at, left, right = 0, b"", b""
    expected, found = iter(expected), iter(found)
    while True:
        left = left or next((chunk.tobytes() for chunk in expected), b"")
        right = right or next(found, b"")
        count = min(len(left), len(right))
        if not count:
            return at if left or right else -1
        if left[:count] != right[:count]:
            return at + next(i for i in range(count) if left[i] != right[i])
        at, left, right = at + count, left[count:], right[count:]
        advance(count)
