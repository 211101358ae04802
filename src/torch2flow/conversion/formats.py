"""The output formats: what each can hold, and who writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch2flow.checkpoints.dtypes import DType
from torch2flow.checkpoints.exporting import safetensors, write_dcp, write_pth
from torch2flow.checkpoints.oneflow import snapshot
from torch2flow.checkpoints.oneflow.dtypes import stored_dtype, widened_dtype
from torch2flow.checkpoints.oneflow.folder import write_folder
from torch2flow.checkpoints.oneflow.single_file import write_single_file
from torch2flow.checkpoints.oneflow.training_state import adapt_training, restore_training
from torch2flow.checkpoints.sharding.rank_folders import FORMAT as RANKS
from torch2flow.checkpoints.writing import ConversionPlan, Target
from torch2flow.checkpoints.writing.entry_bytes import Progress

Writer = Callable[[ConversionPlan, Path, Progress, bool], None]


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


ONEFLOW = Target("OneFlow 0.9.0", stored_dtype, widened_dtype, adapt_training)
ONEFLOW_FLAT = Target("OneFlow's flat checkpoints", stored_dtype, widened_dtype, flat=True)

FORMATS: dict[str, Format] = {
    "folder": Format(ONEFLOW, write_folder, is_folder=True, holds_manifest=True),
    "file": Format(ONEFLOW, write_single_file),
    "snapshot": Format(
        replace(ONEFLOW_FLAT, objection=snapshot.objection_to_name), snapshot.write_snapshot, is_folder=True
    ),
    "safetensors": Format(
        Target("safetensors", _safetensors_only, flat=True, objection=safetensors.objection_to_name),
        safetensors.write_safetensors,
    ),
    "pth": Format(Target("PyTorch", _keep, adapt=restore_training), write_pth),
    "dcp": Format(Target("torch.distributed.checkpoint", _keep, flat=True), write_dcp, is_folder=True),
}
"""`--format`; the first is the default, and a suffix of `-o` chooses by `SUFFIXES`."""

SUFFIXES = {".safetensors": "safetensors", ".pth": "pth", ".pt": "pth", ".bin": "pth", ".ckpt": "pth"}


def target_of(format: str) -> Target:
    """What the format can hold that the manifest of an output names."""
    return ONEFLOW_FLAT if format == RANKS else FORMATS[format].target
