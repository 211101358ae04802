"""What OneFlow lacks or does otherwise, under PyTorch's own signatures: the functions that ported code takes along.

Importing this imports every file beside it, each of which registers its functions.
"""

from importlib import import_module
from pkgutil import iter_modules

from torch2flow.models.lowering.lazy import declaring
from torch2flow.port.compat.registry import SUBSTITUTES, Substitute, stands_for

__all__ = ["SUBSTITUTES", "Substitute", "stands_for"]

with declaring():
    for _file in iter_modules(__path__, f"{__name__}."):
        import_module(_file.name)
