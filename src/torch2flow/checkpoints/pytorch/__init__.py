"""Reads what PyTorch wrote: names, dtypes, shapes, strides and byte ranges; never code.

>>> from torch2flow.checkpoints.opening import open_checkpoint
>>> checkpoint = open_checkpoint("tests/fixtures/torch-1.6.0/state_dict-zip.pth")
>>> checkpoint.container.format, checkpoint.key
('zip', '.')
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
