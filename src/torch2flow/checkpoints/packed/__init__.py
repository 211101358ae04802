"""Weights that quantizing libraries pack into several tensors: found by their names and shapes, unpacked if asked."""

from torch2flow.checkpoints.packed.finding import with_packed
from torch2flow.checkpoints.packed.packed_tensor import PackedTensor
from torch2flow.checkpoints.packed.quantization_config import quantization_config

__all__ = ["PackedTensor", "quantization_config", "with_packed"]
"""`with_packed` replaces the parts of each packed weight in a tree by one `PackedTensor`."""
