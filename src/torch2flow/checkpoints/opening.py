"""`open_checkpoint`: any file or folder of PyTorch's or OneFlow's, by content."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from torch2flow.checkpoints.oneflow.reading import (
    is_oneflow,
    is_single_file,
    open_folder,
    restore,
    single_file_constructors,
)
from torch2flow.checkpoints.pickles import Machine, run_stream
from torch2flow.checkpoints.pytorch import Checkpoint, Container, open_container
from torch2flow.checkpoints.pytorch.constructors import CONSTRUCTORS
from torch2flow.checkpoints.pytorch.legacy import PREFIX
from torch2flow.checkpoints.pytorch.source import SourceFile
from torch2flow.checkpoints.sharding.rank_folders import is_ranks, open_ranks
from torch2flow.errors import FormatError


def open_checkpoint(path: str | os.PathLike[str], key: str | None = None) -> Checkpoint:
    """Opens a checkpoint as a mapping of names to lazy tensors.

    Args:
        path: a file or folder in any format of docs/formats.md.
        key: the part to take, as a dotted path; None chooses by rule (`pytorch/selection.py`), "." is the whole.

    Raises:
        FormatError: the path is missing, broken, hostile or of an unknown format.
        UsageError: there is nothing at `key`.

    Example:
        >>> import torch2flow
        >>> checkpoint = torch2flow.open_checkpoint("model.pth")        # doctest: +SKIP
        >>> checkpoint["fc.weight"].numpy().shape                       # doctest: +SKIP
        (10, 512)
    """
    return Checkpoint(Path(path), open_any(Path(path)), key)


def open_any(path: Path) -> Container:
    """The container at a path, PyTorch's or OneFlow's."""
    if is_oneflow(path):
        return open_folder(path)
    if is_ranks(path):
        return open_ranks(path)
    if os.path.isfile(path) and _begins_as_pickle(path):
        return _open_pickle(path)
    return open_container(path)


def _begins_as_pickle(path: Path) -> bool:
    file = SourceFile(path)
    head = file.read(0, min(file.size, 64))
    file.close()
    return head[:1] == b"\x80" and b"protocol_version" in head and PREFIX not in head  # torch.save's has both


def _open_pickle(path: Path) -> Container:
    """OneFlow 1.x's single file. It is mapped, not read: the arrays inside are most of it."""
    file = SourceFile(path)
    data: mmap.mmap = file.map()
    machine = Machine(data, constructors={**CONSTRUCTORS, **single_file_constructors()}, where=str(path))
    value = run_stream(machine)
    if not is_single_file(value):
        raise FormatError("This pickle is no checkpoint of OneFlow's.", where=str(path))
    restore(value["data"], path)
    return Container("oneflow-file", value["data"], [file], "OneFlow 1.x, or torch2flow", machine.opaque)
