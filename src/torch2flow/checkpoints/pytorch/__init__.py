"""Reads what PyTorch wrote: names, dtypes, shapes, strides and byte ranges; never code.

>>> from torch2flow.checkpoints.opening import open_checkpoint
>>> checkpoint = open_checkpoint("model.pth")
>>> checkpoint["fc.weight"].shape, checkpoint.container.format
((5, 4), 'zip')
"""

from torch2flow.checkpoints.pytorch.checkpoint import Checkpoint
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.selection import Candidate
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Storage, Tensor, TensorRef

__all__ = [
    "Candidate",
    "Checkpoint",
    "CompositeTensor",
    "Container",
    "Storage",
    "Tensor",
    "TensorRef",
]
