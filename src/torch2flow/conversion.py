"""`convert`: from any checkpoint to a OneFlow checkpoint, or back; the one place where all steps meet."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch2flow._version import __version__
from torch2flow.checkpoints import exporting
from torch2flow.checkpoints.dtypes import DType
from torch2flow.checkpoints.oneflow.adapting import adapt_optimizers, restore_optimizers
from torch2flow.checkpoints.oneflow.dtypes import stored_dtype, widened_dtype
from torch2flow.checkpoints.oneflow.folder import assign_places, write_folder
from torch2flow.checkpoints.oneflow.single_file import write_single_file
from torch2flow.checkpoints.oneflow.snapshot import write_snapshot
from torch2flow.checkpoints.opening import open_any
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import Checkpoint, Container
from torch2flow.checkpoints.pytorch.tree import at_path, is_module
from torch2flow.checkpoints.sharding.rank_folders import FORMAT as RANKS
from torch2flow.checkpoints.writing import Options, Plan, Target, make_plan
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.checkpoints.writing.kernel_copy import BUFFER, SourceChangedError
from torch2flow.checkpoints.writing.manifest import MANIFEST, describe, sidecar, tensor_rows, write_manifest
from torch2flow.checkpoints.writing.staging import Staging, check_space, output_error
from torch2flow.errors import FormatError, OutputError, UsageError

if TYPE_CHECKING:
    # Half of what this module would import, and for weights alone there is no use for it.
    from torch2flow.checkpoints.sharding.cutting import Cut
    from torch2flow.checkpoints.sharding.plan import ShardingPlan
    from torch2flow.models.codegen.package import Program
    from torch2flow.models.codegen.writer import Source

Writer = Callable[[Plan, Path, Progress, bool], None]


def _keep(dtype: DType) -> DType:
    return dtype


def _safetensors_only(dtype: DType) -> DType | None:
    return dtype if dtype.safetensors else None


@dataclass(frozen=True, slots=True)
class Format:
    """An output format: what it can hold, who writes it, whether it is a folder, and one that holds its manifest."""

    target: Target
    write: Writer
    is_folder: bool = False
    holds_manifest: bool = False


_ONEFLOW = Target("OneFlow 0.9.0", stored_dtype, widened_dtype, adapt_optimizers)
_ONEFLOW_FLAT = Target("OneFlow's flat checkpoints", stored_dtype, widened_dtype, flat=True)

FORMATS: dict[str, Format] = {
    "folder": Format(_ONEFLOW, write_folder, is_folder=True, holds_manifest=True),
    "file": Format(_ONEFLOW, write_single_file),
    "snapshot": Format(_ONEFLOW_FLAT, write_snapshot, is_folder=True),
    "safetensors": Format(Target("safetensors", _safetensors_only, flat=True), exporting.write_safetensors),
    "pth": Format(Target("PyTorch", _keep, adapt=restore_optimizers), exporting.write_pth),
    "dcp": Format(Target("torch.distributed.checkpoint", _keep, flat=True), exporting.write_dcp, is_folder=True),
}
"""`--format`; the first is the default, and a suffix of `-o` chooses by `SUFFIXES`."""

SUFFIXES = {".safetensors": "safetensors", ".pth": "pth", ".pt": "pth", ".bin": "pth", ".ckpt": "pth"}

SMALL_FILES = 3 * 4096
"""Disk that one tensor takes beside its bytes: a folder, a `meta`, and the last block of `out`, half full."""


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
        source: the model as OneFlow source, where the source holds a program.
    """

    out: Path
    format: str
    plan: Plan
    manifest: dict[str, Any]
    seconds: float
    written: bool
    source: Source | None = None

    def to_json(self) -> dict[str, Any]:
        """The whole manifest, and what this run did."""
        done = {"out": str(self.out), "seconds": self.seconds, "written": self.written}
        return {**self.manifest, **done, "tensors": list(tensor_rows(self.plan))}


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: Options | None = None,
    *,
    format: str = "",
    overwrite: bool = False,
    resume: bool = False,
    hashing: bool = False,
    sync: bool = False,
    dry_run: bool = False,
    partial: bool = False,
    weights_only: bool = False,
    plan: str | os.PathLike[str] | ShardingPlan | None = None,
    ranks: int | None = None,
    progress: Callable[[int], Progress] | None = None,
) -> Result:
    """Converts a checkpoint. Neither torch nor oneflow is imported, and nothing in the file is executed.

    Args:
        source: any file or folder that `open_checkpoint` reads.
        out: the output; it appears complete or not at all.
        options: which part, names and dtypes; see `Options`.
        format: `folder` (default), `file`, `snapshot`, `safetensors`, `pth` or `dcp`; "" goes by the suffix of `out`.
        overwrite: replace an existing checkpoint.
        resume: go on with what an interrupted run left.
        hashing: add a sha256 of every tensor and of the source, and verify the archive's checksums.
        sync: flush to disk before the output gets its name; guards against power loss, not against a kill.
        dry_run: plan everything, write nothing.
        partial: write a model's source also where operators are missing, with a stub for each.
        weights_only: write no source.
        plan: cut it for the ranks of a job, a folder for each: a TOML file, a preset's name, or a plan.
        ranks: how many; None if the plan says so.
        progress: called with the number of bytes, gives a function that is called with each that are written.

    Raises:
        FormatError: the source is broken or hostile.
        UnsupportedError: the target can't hold some tensors as they are.
        UsageError: an option names what is not there.
        OutputError: the output exists or can't be written.

    Example:
        >>> import torch2flow
        >>> torch2flow.convert("model.pth", "out")          # doctest: +SKIP
    """
    started = time.perf_counter()
    options = options or Options()
    source, out = Path(source), Path(os.path.abspath(out))
    format = format or SUFFIXES.get(out.suffix, "folder")
    if format not in FORMATS:
        raise UsageError(f"There is no format {format!r}.", remedy=f"choose one of {', '.join(FORMATS)}")
    if plan is not None and format != "folder":
        raise UsageError(f"--plan cuts a OneFlow folder, and no {format}.", remedy="leave out --format")
    if plan is None and ranks is not None:
        raise UsageError("--ranks says how many ranks a plan is for.", remedy="add --plan")
    container = open_any(source)
    program = None if weights_only or format != "folder" else _model(container, options)
    checkpoint = Checkpoint(source, container, options.key if program is None else "state_dict")
    check_apart(out, checkpoint)
    whole = make_plan(checkpoint, options, FORMATS[format].target if plan is None else _ONEFLOW_FLAT)
    cut = None if plan is None else _cut(whole, plan, ranks)
    written = program.source() if program is not None else None
    if program is None and not weights_only and format == "folder" and not _is_changed(options):
        written, notes = _pickled(checkpoint)
        whole.notes += notes
    if written is not None and not partial and not dry_run:
        from torch2flow.models.codegen.package import check_complete

        check_complete(written, str(source))
    result = write(
        whole, out, format, Generated(written, checkpoint, cut is not None) if written is not None else None, cut=cut,
        overwrite=overwrite, resume=resume, hashing=hashing, sync=sync, dry_run=dry_run, progress=progress,
    )  # fmt: skip
    return replace(result, seconds=time.perf_counter() - started, source=written)


def target_of(format: str) -> Target:
    """What the format that a manifest names can hold."""
    return _ONEFLOW_FLAT if format == RANKS else FORMATS[format].target


class Model(Protocol):
    """What makes a model of the weights: Python files beside them."""

    def write(self, folder: Path, name: str) -> None:
        """Writes the files into a folder that will have this name."""
        ...

    def describe(self, manifest: dict[str, Any]) -> None:
        """Adds to the manifest what there is to say of it."""
        ...


@dataclass(frozen=True, slots=True)
class Generated:
    """A model that was written from a program, or from a pickled module."""

    source: Source
    checkpoint: Checkpoint
    cut: bool = False

    def write(self, folder: Path, name: str) -> None:
        """Writes source, package and constants."""
        from torch2flow.models.codegen.package import CONSTANTS, write_package

        write_package(self.source, folder, name, cut=self.cut)
        if self.source.constants:
            (folder / CONSTANTS).mkdir(exist_ok=True)
            held = Container("pt2", StatefulDict(self.source.constants), self.checkpoint.container.files)
            plan = make_plan(Checkpoint(self.checkpoint.path, held, "."), Options(key="."), _ONEFLOW)
            write_folder(plan, folder / CONSTANTS, _no_progress)

    def describe(self, manifest: dict[str, Any]) -> None:
        """Says what is missing, and takes the constants off the list of what was not converted: the source has them."""
        from torch2flow.models.codegen.package import CONSTANTS

        missing = [
            {"operator": each.target, "module": each.path, "line": str(each.line or ""), "reason": each.reason}
            for each in self.source.missing
        ]
        manifest["model"] = {"class": self.source.root, "missing": missing, "notes": self.source.notes}
        manifest["not_converted"] = [row for row in manifest["not_converted"] if row["name"] != CONSTANTS]


def write(
    plan: Plan,
    out: Path,
    format: str,
    model: Model | None = None,
    *,
    cut: Cut | None = None,
    overwrite: bool = False,
    resume: bool = False,
    hashing: bool = False,
    sync: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], Progress] | None = None,
) -> Result:
    """Carries a plan out: the output appears complete, with its manifest, or not at all.

    Args:
        plan: what to write.
        out: where, absolute.
        format: a name of `FORMATS`.
        model: files that go beside the weights.
        cut: the plan as it is cut for ranks, each of which gets a folder.
        overwrite, resume, hashing, sync, dry_run, progress: as for `convert`.
    """
    started = time.perf_counter()
    chosen, checkpoint = FORMATS[format], plan.checkpoint
    if dry_run:
        for part in [plan] if cut is None else cut.parts:
            if format == "folder":
                assign_places(part.entries)
        manifest = _manifest(plan, format, model, cut)
        return Result(out, format, plan, manifest, time.perf_counter() - started, False)
    staging = Staging(
        out,
        folder=chosen.is_folder,
        overwrite=overwrite,
        resume=resume,
        fingerprint=_fingerprint(plan, format, cut),
        replaceable=_is_checkpoint,
    )
    nbytes, tensors = (plan.nbytes, len(plan.entries)) if cut is None else (cut.nbytes, cut.tensors)
    check_space(out.parent, nbytes + (SMALL_FILES * tensors if chosen.is_folder else 0))
    with staging:
        try:
            advance = progress(nbytes) if progress else _no_progress
            if cut is None:
                chosen.write(plan, staging.path, advance, hashing)
            else:
                cut.write(staging.path, advance, hashing, __version__)
            if model is not None:
                model.write(staging.path, out.name)
            checkpoint.check_unchanged()
            sha256 = _sha256(checkpoint.container.files) if hashing else ""
            manifest = _manifest(plan, format, model, cut, sha256)
            write_manifest(
                manifest,
                tensor_rows(plan) if cut is None else cut.rows(),
                staging.path / MANIFEST if chosen.holds_manifest else sidecar(out),
            )
            if sync:
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


def _manifest(plan: Plan, format: str, model: Model | None, cut: Cut | None = None, sha256: str = "") -> dict[str, Any]:
    manifest = describe(plan, format, __version__, sha256)
    for each in (model, cut):
        if each is not None:
            each.describe(manifest)
    return manifest


def _is_changed(options: Options) -> bool:
    """Whether the tensors get other names or dtypes, or are left out: a model would not fit them."""
    return bool(options.rename or options.include or options.exclude or options.dtype)


def _model(container: Container, options: Options) -> Program | None:
    """The program to write as source; None where there is none, or where tensors get other names or are left out."""
    changed = options.rename or options.include or options.exclude
    if container.program is None or changed or options.key not in (None, "state_dict"):
        return None
    from torch2flow.models.codegen.package import open_program

    program = open_program(container)
    if program is not None:
        if options.dtype:
            program.retype(options.dtype)
        weights = container.root.get("state_dict", {})  # a model may have none
        order = [name for name in program.key_order() if name in weights]
        container.root["state_dict"] = StatefulDict({name: weights[name] for name in [*order, *weights]})
    return program


def _pickled(checkpoint: Checkpoint) -> tuple[Source | None, list[str]]:
    """The source of a checkpoint that is a pickled module, and what a person should know."""
    if not is_module(at_path(checkpoint.root, checkpoint.key)):
        return None, []
    from torch2flow.models.codegen.pickled import pickled_source

    return pickled_source(checkpoint)


def _cut(whole: Plan, plan: str | os.PathLike[str] | ShardingPlan, ranks: int | None) -> Cut:
    from torch2flow.checkpoints.sharding.cutting import cut_plan
    from torch2flow.checkpoints.sharding.plan import read_plan

    return cut_plan(whole, read_plan(plan), ranks)


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
    with open(path, "rb") as stream:
        head = stream.read(16)
    return path.is_file() and (not head or head[:4] == b"PK\x03\x04" or head[:1] == b"\x80" or head[8:9] == b"{")


def _fingerprint(plan: Plan, format: str, cut: Cut | None) -> str:
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
