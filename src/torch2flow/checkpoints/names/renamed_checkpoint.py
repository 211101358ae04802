"""A checkpoint under another library's names: the same bytes, other names and shapes. Nothing is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch2flow.checkpoints.names.templates import Keys
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch import Checkpoint, Tensor
from torch2flow.checkpoints.pytorch.tensor import reshaped


def renamed(checkpoint: Checkpoint, keys: Keys, *, back: bool = False) -> Checkpoint:
    """The tensors under the other side's names.

    Args:
        checkpoint: the one side's.
        keys: the rules.
        back: from OneFlow's side to PyTorch's; what only OneFlow's has is left out.

    Raises:
        UsageError: two tensors would get one name.
    """
    if not keys:
        return checkpoint
    tensors = {}
    for old, new, change in keys.pairs(checkpoint, back):
        tensor = checkpoint[old]
        tensors[new] = reshaped(tensor, change.there(tensor.shape))
    return with_tensors(checkpoint, tensors)


def with_tensors(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> Checkpoint:
    """A checkpoint of these tensors, which lie in the files of another."""
    root = StatefulDict(tensors)
    container = dataclasses.replace(checkpoint.container, root=root, program=None)
    made = Checkpoint(checkpoint.path, container, ".")
    made.reason = f"{checkpoint.reason}: {checkpoint.key!r}"
    return made
