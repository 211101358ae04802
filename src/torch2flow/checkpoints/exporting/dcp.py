"""Writes a folder that `torch.distributed.checkpoint` loads, on any number of ranks.

    out/.metadata        what there is and where it lies, as a pickle of `Metadata`
    out/__0_0.distcp     the tensors one after the other, each as `torch.save` writes it

Follows `torch/distributed/checkpoint/{metadata,filesystem}.py` (2.1 to 2.13).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.exporting.pth import append_archive
from torch2flow.checkpoints.pickles import Name, PickledCall, write_pickle
from torch2flow.checkpoints.writing import ConversionPlan, Entry
from torch2flow.checkpoints.writing.entry_bytes import Progress
from torch2flow.checkpoints.writing.kernel_copy import create, write_file

METADATA, DATA = ".metadata", "__0_0.distcp"
_MODULE = "torch.distributed.checkpoint.metadata"
_STRIDED = PickledCall(Name("torch.serialization._get_layout"), ("torch.strided",))
_CONTIGUOUS = PickledCall(Name(f"{_MODULE}._MEM_FORMAT_ENCODING"), (0,))


def write_dcp(plan: ConversionPlan, path: Path, progress: Progress, hashing: bool = False) -> None:
    """Writes tensors by name. Tied tensors are written once for each name, as PyTorch's planner does it.

    Raises:
        FormatError: the source is damaged.
        OSError: the folder can't be written.
    """
    described: dict[str, PickledCall] = {}
    stored: dict[PickledCall, PickledCall] = {}
    at = 0
    path.mkdir(exist_ok=True)
    fd = create(path / DATA)
    try:
        for name, tensor in plan.tree.items():
            entry = plan.entry(tensor)
            length = append_archive(fd, at, tensor, [entry], plan.identify, progress, hashing)
            described[name] = _tensor_metadata(entry)
            index = _record("MetadataIndex", fqn=name, offset=_size((0,) * len(entry.shape)), index=0)
            stored[index] = PickledCall(
                Name("torch.distributed.checkpoint.filesystem._StorageInfo"), (),
                {"relative_path": DATA, "offset": at, "length": length}, new=True,
            )  # fmt: skip
            at += length
    finally:
        os.close(fd)
    paths = {name: (name,) for name in described}
    metadata = _record(
        "Metadata", state_dict_metadata=described, planner_data=paths, storage_data=stored, storage_meta=None
    )
    write_file(path / METADATA, write_pickle(metadata))


def _tensor_metadata(entry: Entry) -> PickledCall:
    properties = PickledCall(
        Name(f"{_MODULE}.TensorProperties"), (),
        (Name(f"torch.{entry.dtype}"), _STRIDED, bool(entry.tensor.requires_grad), _CONTIGUOUS, False), new=True,
    )  # fmt: skip
    chunk = _record("ChunkStorageMetadata", offsets=_size((0,) * len(entry.shape)), sizes=_size(entry.shape))
    return _record("TensorStorageMetadata", properties=properties, size=_size(entry.shape), chunks=[chunk])


def _record(name: str, **state: Any) -> PickledCall:
    return PickledCall(Name(f"{_MODULE}.{name}"), (), state, new=True)


def _size(shape: tuple[int, ...]) -> PickledCall:
    return PickledCall(Name("torch.Size"), (shape,))
