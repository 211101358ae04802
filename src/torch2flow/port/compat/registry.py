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
        attribute: it is read without a call: `x.mT`.
        only_with: None where every use needs it: OneFlow's own would be silently different, end the process or is not
            there. Else the arguments, given in whichever way, that alone need it, `mode=nearest-exact` by that value,
            `equation=~PATTERN` by what a pattern finds in it: without them OneFlow's own does, and what it can't do it
            refuses in words. Where it is empty, hardly any code has the input that needs it, such as one without a
            batch.
    """

    name: str
    function: Callable[..., Any]
    because: str
    attribute: bool = False
    only_with: tuple[str, ...] | None = None


SUBSTITUTES: dict[str, Substitute] = {}


VALUES: dict[str, str] = {
    "torch.pi": "3.141592653589793",
    "torch.e": "2.718281828459045",
    "torch.inf": 'float("inf")',
    "torch.nan": 'float("nan")',
    "torch.newaxis": "None",
    "torch.layout": "object",
    "torch.memory_format": "object",
    "torch.SymInt": "int",
    "torch.SymFloat": "float",
    "torch.SymBool": "bool",
    "torch.sym_max": "max",
    "torch.sym_min": "min",
    "torch.sym_int": "int",
    "torch.sym_float": "float",
    "torch.distributed.ProcessGroup": "object",
    "torch.strided": '"strided"',
    "torch.contiguous_format": '"contiguous_format"',
    "torch.legacy_contiguous_format": '"contiguous_format"',
    "torch.preserve_format": '"preserve_format"',
    "torch.channels_last": '"channels_last"',
    "torch.channels_last_3d": '"channels_last_3d"',
    "torch.__version__": '"2.0.1"',
    "torch.version.__version__": '"2.0.1"',
    "torch.distributed.group.WORLD": "None",
    "torch.version.cuda": "None",
    "torch.version.hip": "None",
    "torch.short": "flow.int32",
    "torch.int16": "flow.int32",
    "torch.backends.cudnn.benchmark": "False",
    "torch.backends.cudnn.enabled": "True",
    "torch.backends.cudnn.deterministic": "True",
    "torch.backends.cudnn.allow_tf32": "False",
    "torch.backends.cuda.matmul.allow_tf32": "False",
    "torch.utils.data.dataset.T_co": "object",
    "torch._six.string_classes": "(str, bytes)",
    "torch._six.int_classes": "int",
    "torch._six.inf": 'float("inf")',
    "torch.linalg.LinAlgError": "RuntimeError",
    "torch._C._LinAlgError": "RuntimeError",
    "torch.autograd.function.FunctionCtx": "object",
    "torch.jit.annotations.List": "list",
    "torch.jit.annotations.Dict": "dict",
    "torch.jit.annotations.Tuple": "tuple",
    "torch._jit_internal.List": "list",
    "torch._jit_internal.Dict": "dict",
    "torch._jit_internal.Tuple": "tuple",
}
"""Constants of PyTorch's, and the Python expression that stands for each; an assignment to one of them does nothing.
Memory formats are names that substitutes ignore: OneFlow's tensors are contiguous. The version is the one whose names
the substitutes cover."""


def stands_for(
    *names: str, because: str, attribute: bool = False, only_with: tuple[str, ...] | None = None
) -> Callable[[Function], Function]:
    """Registers a function or class of ours for one or more public names of PyTorch.

    Raises:
        ValueError: a name has a substitute already.
    """

    def register(function: Function) -> Function:
        for name in names:
            if name in SUBSTITUTES:
                raise ValueError(f"{name} has a substitute already: {SUBSTITUTES[name].function.__qualname__}")
            SUBSTITUTES[name] = Substitute(name, function, because, attribute, only_with)
        return function

    return register
