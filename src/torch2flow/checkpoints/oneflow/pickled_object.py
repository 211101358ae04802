"""A tree as the pickle that OneFlow unpickles: every tensor a call, everything else as it is.

| in the tree                    | in the stream |
|--------------------------------|---------------|
| tensor                         | `oneflow.Tensor.__new__` + state |
| parameter, trainable           | `oneflow.nn.Parameter.__new__` + state |
| parameter, frozen              | `oneflow.nn.Parameter(Tensor, False)`: the state form always asks for gradients |
| tensor that asks for gradients | `oneflow.Tensor.requires_grad_(Tensor, True)` |
| bfloat16                       | `oneflow.cast(Tensor, oneflow.bfloat16)` around a float32 tensor |

Tied tensors are one object in the stream and so one object after `flow.load`. Follows
`oneflow/framework/check_point_v2.py` (0.9.0: `tensor_getstate`, `tensor_setstate`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch2flow.checkpoints.dtypes import find_dtype
from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES, STORED_AS
from torch2flow.checkpoints.pickles import Global, Name, PickledCall, write_pickle
from torch2flow.checkpoints.pytorch.arrays import NumpyArray, NumpyDType
from torch2flow.checkpoints.pytorch.constructors import Size
from torch2flow.checkpoints.writing import ConversionPlan, Entry

TENSOR, PARAMETER = Name("oneflow.Tensor"), Name("oneflow.nn.Parameter")
PROTOCOL_VERSION = 1


def encode(plan: ConversionPlan, value: Any, state: Callable[[Entry], dict[str, Any]], casts: bool = True) -> bytes:
    """The pickle of a tree for OneFlow.

    Args:
        plan: which entry each tensor is.
        value: the object, with the plan's tensors as leaves.
        state: the state of an entry's tensor: where or what its values are.
        casts: bfloat16 is stored as float32 and cast back by the stream.
    """

    def replace(value: Any) -> Any:
        return _tensor(value, state, casts) if isinstance(value, Entry) else _other(value)

    return write_pickle(value, replace, plan.identify)


def _tensor(entry: Entry, state: Callable[[Entry], dict[str, Any]], casts: bool) -> PickledCall:
    tensor = entry.tensor
    trainable = tensor.requires_grad and entry.dtype.kind in "fc"
    cast = casts and entry.dtype.name in STORED_AS
    if tensor.is_parameter and trainable and not cast:
        return PickledCall(PARAMETER, (), state(entry), new=True)
    call = PickledCall(TENSOR, (), state(entry), new=True)
    if cast:
        call = PickledCall(Name("oneflow.cast"), (call, Name(f"oneflow.{entry.dtype}")))
    if tensor.is_parameter:
        return PickledCall(PARAMETER, (call, trainable))
    return PickledCall(Name("oneflow:Tensor.requires_grad_"), (call, True)) if trainable else call


def _other(value: Any) -> Any:
    if isinstance(value, NumpyArray | NumpyDType):
        return value.call()
    if isinstance(value, Size):
        return PickledCall(Name("oneflow.Size"), (tuple(value),))
    if isinstance(value, Global):
        dtype = find_dtype(value.name) if value.name.startswith("torch.") else None
        known = dtype is not None and dtype.name in DATA_TYPES
        return Name(f"oneflow.{dtype}") if known else value.name
    return value
