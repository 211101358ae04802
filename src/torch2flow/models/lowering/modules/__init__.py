"""The module rules: which `oneflow.nn` class stands for a `torch.nn` class, and with which arguments."""

from torch2flow.models.lowering.modules import convolution, normalization, recurrent, simple, transformer
from torch2flow.models.lowering.modules.table import (
    CLASSES,
    Code,
    Made,
    ModuleCall,
    RefusedError,
    UnknownClassError,
    construct,
    construct_called,
    signature,
)

FAMILIES = (convolution, normalization, recurrent, simple, transformer)
"""The files whose rows are in the table once they are imported."""

__all__ = [
    "CLASSES", "FAMILIES", "Code", "Made", "ModuleCall", "RefusedError", "UnknownClassError", "construct",
    "construct_called", "signature",
]  # fmt: skip
