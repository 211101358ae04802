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
        data,
        distributed,
        foreach,
        indexing,
        layers,
        linear_algebra,
        losses,
        methods,
        modules,
        optimizers,
        ordering,
        probability,
        reduction,
        resampling,
        running,
        schedules,
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
    "data",
    "distributed",
    "foreach",
    "indexing",
    "layers",
    "linear_algebra",
    "losses",
    "methods",
    "modules",
    "optimizers",
    "ordering",
    "probability",
    "reduction",
    "resampling",
    "running",
    "schedules",
    "shape",
    "stands_for",
]
