"""The module rules: which `oneflow.nn` class stands for a `torch.nn` class, and with which arguments."""

from torch2flow.models.lowering.modules.leaves import MODULES, Leaf, ModuleRule
from torch2flow.models.lowering.modules.signatures import signatures

__all__ = ["MODULES", "Leaf", "ModuleRule", "signatures"]
