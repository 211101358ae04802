"""What OneFlow lacks or does otherwise, under PyTorch's own signatures: the functions that ported code takes along."""

from torch2flow.models.lowering.lazy import declaring
from torch2flow.port.compat.registry import SUBSTITUTES, Substitute, stands_for

with declaring():
    from torch2flow.port.compat import (
        activations,
        arithmetic,
        comparison,
        creation,
        indexing,
        layers,
        linear_algebra,
        losses,
        methods,
        ordering,
        reduction,
        resampling,
        shape,
    )

__all__ = [
    "SUBSTITUTES",
    "Substitute",
    "activations",
    "arithmetic",
    "comparison",
    "creation",
    "indexing",
    "layers",
    "linear_algebra",
    "losses",
    "methods",
    "ordering",
    "reduction",
    "resampling",
    "shape",
    "stands_for",
]
