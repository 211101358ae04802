"""Opens whatever PyTorch wrote and yields names, dtypes, shapes, strides and byte ranges; never code.

>>> from torch2flow.checkpoints.pytorch import open_checkpoint
>>> checkpoint = open_checkpoint("model.pth")            # doctest: +SKIP
>>> checkpoint["fc.weight"].shape, checkpoint.format     # doctest: +SKIP
((10, 512), 'zip')
"""

from torch2flow.checkpoints.pytorch.checkpoint import Checkpoint
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.formats import open_container
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
    "open_container",
]
