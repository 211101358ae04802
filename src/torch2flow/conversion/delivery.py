"""Carries a conversion plan out: the output appears complete, with its manifest, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch2flow._version import __version__
from torch2flow.checkpoints.oneflow.folder import assign_places
from torch2flow.checkpoints.pytorch import Checkpoint
from torch2flow.checkpoints.writing import ConversionPlan
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.checkpoints.writing.kernel_copy import BUFFER, SourceChangedError
from torch2flow.checkpoints.writing.manifest import MANIFEST, describe, sidecar, tensor_rows, write_manifest
from torch2flow.checkpoints.writing.staging import Staging, check_space, output_error
from torch2flow.conversion.formats import FORMATS
from torch2flow.errors import FormatError, OutputError
from torch2flow.guards.regular_files import is_regular, open_regular

if TYPE_CHECKING:
    # Half of what this module would import, and for weights alone there is no use for it.
    from torch2flow.checkpoints.sharding.cutting import Cut
    from torch2flow.models.codegen.writer import Source

SMALL_FILES = 3 * 4096
"""Disk that one tensor takes beside its bytes: a folder, a `meta`, and the last block of `out`, half full."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an output is written.

    Attributes:
        overwrite: replace an existing checkpoint.
        resume: go on with what an interrupted run left.
        hashing: add a sha256 of every tensor and of the source, and verify the archive's checksums.
        sync: flush to disk before the output gets its name; guards against power loss, not against a kill.
        dry_run: plan everything, write nothing.
        progress: called with the number of bytes, gives a function that is called with each that are written.
    """

    overwrite: bool = False
    resume: bool = False
    hashing: bool = False
    sync: bool = False
    dry_run: bool = False
    progress: Callable[[int], Progress] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a conversion did.

    Attributes:
        out: the output.
        format: a name of `FORMATS`.
        plan: what was written.
        manifest: the manifest as plain data, without its tensors; `to_json` has them.
        seconds: how long it took.
        written: False after `--dry-run`.
        model_source: the model as OneFlow source, where the input holds a model.
    """

    out: Path
    format: str
    plan: ConversionPlan
    manifest: dict[str, Any]
    seconds: float
    written: bool
    model_source: Source | None = None

    def to_json(self) -> dict[str, Any]:
        """The whole manifest, and what this run did."""
        done = {"out": str(self.out), "seconds": self.seconds, "written": self.written}
        return {**self.manifest, **done, "tensors": list(tensor_rows(self.plan))}


class ModelFiles(Protocol):
    """Python files that lie beside the weights and make a model of them."""

    def write(self, folder: Path, name: str) -> None:
        """Writes the files into a folder that will have this name."""
        ...

    def describe(self, manifest: dict[str, Any]) -> None:
        """Adds to the manifest what there is to say of it."""
        ...


def deliver(
    plan: ConversionPlan,
    out: Path,
    format: str,
    delivery: Delivery | None = None,
    *,
    model: ModelFiles | None = None,
    cut: Cut | None = None,
) -> Result:
    """Carries a plan out: the output appears complete, with its manifest, or not at all.

    Args:
        plan: what to write.
        out: where, absolute.
        format: a name of `FORMATS`.
        delivery: how it is written; None for a new output, with nothing asked for.
        model: files that go beside the weights.
        cut: the plan as it is cut for ranks, each of which gets a folder.

    Raises:
        FormatError: the source changed meanwhile.
        OutputError: the output exists or can't be written.
    """
    started = time.perf_counter()
    delivery = delivery or Delivery()
    chosen, checkpoint = FORMATS[format], plan.checkpoint
    if delivery.dry_run:
        for part in [plan] if cut is None else cut.parts:
            if format == "folder":
                assign_places(part.entries)
        manifest = _manifest(plan, format, model, cut)
        return Result(out, format, plan, manifest, time.perf_counter() - started, False)
    staging = Staging(
        out,
        folder=chosen.is_folder,
        overwrite=delivery.overwrite,
        resume=delivery.resume,
        fingerprint=_fingerprint(plan, format, cut),
        replaceable=_is_checkpoint,
    )
    nbytes, tensors = (plan.nbytes, len(plan.entries)) if cut is None else (cut.nbytes, cut.tensors)
    check_space(out.parent, nbytes + (SMALL_FILES * tensors if chosen.is_folder else 0))
    with staging:
        try:
            advance = delivery.progress(nbytes) if delivery.progress else _no_progress
            if cut is None:
                chosen.write(plan, staging.path, advance, delivery.hashing)
            else:
                cut.write(staging.path, advance, delivery.hashing, __version__)
            if model is not None:
                model.write(staging.path, out.name)
            checkpoint.check_unchanged()
            sha256 = _sha256(checkpoint.container.files) if delivery.hashing else ""
            manifest = _manifest(plan, format, model, cut, sha256)
            write_manifest(
                manifest,
                tensor_rows(plan) if cut is None else cut.rows(),
                staging.path / MANIFEST if chosen.holds_manifest else sidecar(out),
            )
            if delivery.sync:
                os.sync()
        except SourceChangedError:
            raise FormatError(
                "The source file changed while it was copied.",
                where=str(checkpoint.path),
                remedy="run again once it is complete",
            ) from None
        except OSError as error:
            raise output_error(error, out) from None
        staging.commit()
    return Result(out, format, plan, manifest, time.perf_counter() - started, True)


def _manifest(
    plan: ConversionPlan, format: str, model: ModelFiles | None, cut: Cut | None, sha256: str = ""
) -> dict[str, Any]:
    manifest = describe(plan, format, __version__, sha256)
    for each in (model, cut):
        if each is not None:
            each.describe(manifest)
    return manifest


def _no_progress(count: int) -> None:
    pass


def check_apart(out: Path, checkpoint: Checkpoint) -> None:
    """Refuses an output that is the source, holds it, or lies inside it.

    Raises:
        OutputError: it is.
    """
    for file in (source.path for source in checkpoint.container.files):
        real = file.resolve()
        if out == real or out in real.parents or (file.parent == out.parent and file.name == out.name):
            raise OutputError("The output would replace its own source.", where=str(out), remedy="choose another -o")


def _is_checkpoint(path: Path) -> bool:
    """Whether an existing output is something that `--overwrite` may replace."""
    if path.is_dir():
        names = {entry.name for entry in os.scandir(path)}
        return (
            not names
            or bool(names & {"pickled_data", "snapshot_done", ".metadata"})
            or {"manifest.json", "rank_0"} <= names
        )
    if not is_regular(path):
        return False
    with open(open_regular(path), "rb") as stream:
        head = stream.read(16)
    return not head or head[:4] == b"PK\x03\x04" or head[:1] == b"\x80" or head[8:9] == b"{"


def _fingerprint(plan: ConversionPlan, format: str, cut: Cut | None) -> str:
    """Everything that decides what is written where."""
    files = [(file.path.name, file.size, file.status.st_mtime_ns) for file in plan.checkpoint.container.files]
    return json.dumps([__version__, format, plan.checkpoint.key, repr(plan.options), files, repr(cut and cut.settled)])


def _sha256(files: list[Any]) -> str:
    """Of the source: of its one file, or of all its files' digests in order."""
    digests = []
    for file in files:
        digest = hashlib.sha256()
        for start in range(0, file.size, BUFFER):
            digest.update(file.read(start, min(BUFFER, file.size - start)))
        digests.append(digest.hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
