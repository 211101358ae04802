"""What OneFlow lacks or does otherwise, under PyTorch's own signatures: the functions that ported code takes along."""

from torch2flow.models.lowering.lazy import declaring
from torch2flow.port.compat.registry import SUBSTITUTES, Substitute, stands_for

with declaring():
    from torch2flow.port.compat import (
        absent_modules,
        activations,
        arithmetic,
        comparison,
        creation,
        indexing,
        layers,
        linear_algebra,
        losses,
        methods,
        modules,
        ordering,
        reduction,
        resampling,
        shape,
    )

__all__ = [
    "SUBSTITUTES",
    "Substitute",
    "absent_modules",
    "activations",
    "arithmetic",
    "comparison",
    "creation",
    "indexing",
    "layers",
    "linear_algebra",
    "losses",
    "methods",
    "modules",
    "ordering",
    "reduction",
    "resampling",
    "shape",
    "stands_for",
]
