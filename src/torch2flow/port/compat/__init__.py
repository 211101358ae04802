"""What OneFlow lacks or does otherwise, under PyTorch's own signatures: the functions that ported code takes along."""

from torch2flow.models.lowering.lazy import declaring
from torch2flow.port.compat.registry import SUBSTITUTES, Substitute, stands_for

with declaring():
    from torch2flow.port.compat import (
        arithmetic,
        comparison,
        creation,
        indexing,
        linear_algebra,
        ordering,
        reduction,
        shape,
    )

__all__ = [
    "SUBSTITUTES",
    "Substitute",
    "arithmetic",
    "comparison",
    "creation",
    "indexing",
    "linear_algebra",
    "ordering",
    "reduction",
    "shape",
    "stands_for",
]
