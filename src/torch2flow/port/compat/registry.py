"""The registry of compatibility functions: which of ours stands for a public name of PyTorch in ported code.

    @stands_for("torch.cat", "torch.concat", because="OneFlow's refuses tensors of different dtypes.")
    def cat(tensors, dim=0):
        ...

Such a function is ordinary OneFlow code under PyTorch's own signature. `torch2flow port` copies it, with what it calls,
into the module that it writes beside the ported code; a test calls it in OneFlow and compares it with PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Substitute:
    """What stands for one public name of PyTorch.

    Attributes:
        name: the name in PyTorch: `torch.cat`, `torch.Tensor.ravel`, `torch.nn.MultiheadAttention`.
        function: the function or class, written in OneFlow.
        because: what OneFlow lacks or does otherwise, in one sentence for the reader of the ported code.
    """

    name: str
    function: Callable[..., Any]
    because: str


SUBSTITUTES: dict[str, Substitute] = {}


def stands_for(*names: str, because: str) -> Callable[[Function], Function]:
    """Registers a function or class of ours for one or more public names of PyTorch.

    Raises:
        ValueError: a name has a substitute already.
    """

    def register(function: Function) -> Function:
        for name in names:
            if name in SUBSTITUTES:
                raise ValueError(f"{name} has a substitute already: {SUBSTITUTES[name].function.__qualname__}")
            SUBSTITUTES[name] = Substitute(name, function, because)
        return function

    return register
