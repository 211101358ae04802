"""What the functions named in PyTorch's pickles build: tensors, storages, NumPy arrays, sizes.

One short function each, found by its dotted name. Signatures follow `torch/_utils.py`, `torch/_tensor.py`,
`torch/storage.py`, `torch/jit/_pickle.py` (1.0 to 2.13) and NumPy's `multiarray`. A name that is not here
becomes an `Opaque` record; nothing is ever imported or called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch2flow.checkpoints.dtypes import BY_STORAGE, DTYPES, DType, find_dtype
from torch2flow.checkpoints.pickles import Constructor, Global, Machine, Opaque, label
from torch2flow.checkpoints.pickles.limits import ITEM
from torch2flow.checkpoints.pickles.python_constructors import CONSTRUCTORS as PYTHON_CONSTRUCTORS
from torch2flow.checkpoints.pytorch.arrays import ARRAY_CONSTRUCTORS, NumpyArray
from torch2flow.checkpoints.pytorch.shards import shard_of
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Storage, TensorRef
from torch2flow.errors import FormatError

CONSTRUCTORS: dict[str, Constructor] = {**PYTHON_CONSTRUCTORS, **ARRAY_CONSTRUCTORS}


def constructor(*names: str) -> Callable[[Constructor], Constructor]:
    """Registers the function below under the names that PyTorch's versions gave it."""

    def register(function: Constructor) -> Constructor:
        for name in names:
            CONSTRUCTORS[name] = function
        return function

    return register


@dataclass(frozen=True, slots=True, eq=False)
class TypedStorage:
    """A storage as a pickle names it: with an element type, unless it is an `UntypedStorage`.

    Attributes:
        first: element at which it starts; PyTorch before 1.0 saved storages that looked into others.
        numel: its elements.
    """

    storage: Storage
    dtype: DType | None
    first: int
    numel: int

    def as_tensor(self) -> TensorRef:
        """All of it as a one-dimensional tensor."""
        return TensorRef(self.dtype or DTYPES["uint8"], (self.numel,), (1,), self.first, self.storage)


def storage_dtype(storage_class: Any) -> DType | None:
    """The element type of `torch.FloatStorage` and its kin; None for an untyped storage.

    Raises:
        FormatError: it is no storage class that PyTorch ever had.
    """
    name = label(storage_class)
    stem = name.rpartition(".")[2].removesuffix("Storage")
    if stem in ("Untyped", "_Untyped", "Typed", "_Typed"):
        return None
    found = BY_STORAGE.get(stem)
    if found is None or not name.startswith(("torch.", "__torch__.")):
        raise FormatError(
            f"The file names an unknown kind of storage: {name[:100]}.", maybe="it is newer than torch2flow"
        )
    return found


def _dtype(value: Any) -> DType:
    found = find_dtype(value.name) if isinstance(value, Global) else None
    if found is None:
        raise FormatError(
            f"The file names an unknown element type: {label(value)[:100]}.",
            maybe="it is newer than torch2flow",
        )
    return found


def _dense(
    storage: Any, dtype: DType | None, offset: Any, size: Any, stride: Any, grad: Any, metadata: Any
) -> TensorRef:
    if not isinstance(storage, TypedStorage):
        raise FormatError("A tensor is built from something that is no storage.")
    flags = metadata if isinstance(metadata, dict) else {}
    return TensorRef(
        dtype or storage.dtype or DTYPES["uint8"],
        tuple(size),
        tuple(stride),
        storage.first + offset,
        storage.storage,
        bool(grad),
        conj=bool(flags.get("conj")),
        neg=bool(flags.get("neg")),
    )


# -- dense tensors and parameters ----------------------------------------------------------------------------


@constructor("torch._utils._rebuild_tensor")
def _rebuild_tensor(m: Machine, storage: Any, offset: Any, size: Any, stride: Any) -> TensorRef:
    return _dense(storage, None, offset, size, stride, False, None)


@constructor("torch._utils._rebuild_tensor_v2")
def _rebuild_tensor_v2(
    m: Machine,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    grad: Any = False,
    hooks: Any = None,
    meta: Any = None,
) -> TensorRef:
    return _dense(storage, None, offset, size, stride, grad, meta)


@constructor("torch._utils._rebuild_tensor_v3")
def _rebuild_tensor_v3(
    m: Machine,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    grad: Any,
    hooks: Any,
    dtype: Any,
    meta: Any = None,
) -> TensorRef:
    return _dense(storage, _dtype(dtype), offset, size, stride, grad, meta)


def _note_attributes(m: Machine, kind: str, state: Any) -> None:
    """Counts attributes that were set on a tensor. They have no place in a state dict, and are reported."""
    if state not in (None, {}, (), (None, None)):
        what = f"attributes of a {kind}"
        m.opaque[what] = m.opaque.get(what, 0) + 1


def _as_parameter(data: Any, grad: Any, state: Any = None) -> Any:
    if not isinstance(data, TensorRef | CompositeTensor):
        return Opaque("torch.nn.parameter.Parameter", (data, grad), state)
    data.is_parameter, data.requires_grad = True, bool(grad)
    return data


@constructor("torch._utils._rebuild_parameter")
def _rebuild_parameter(m: Machine, data: Any, grad: Any, hooks: Any = None) -> Any:
    return _as_parameter(data, grad)


@constructor("torch._utils._rebuild_parameter_with_state")
def _rebuild_parameter_with_state(m: Machine, data: Any, grad: Any, hooks: Any = None, state: Any = None) -> Any:
    _note_attributes(m, "torch.nn.parameter.Parameter", state)
    return _as_parameter(data, grad, state)


@constructor("torch.nn.parameter.Parameter")
def _parameter(m: Machine, data: Any, grad: Any = True) -> Any:
    return _as_parameter(data, grad)


@constructor("torch._dynamo.eval_frame.OptimizedModule")
def _optimized_module(m: Machine, *args: Any) -> Any:
    """What `torch.compile` makes of a module is pickled as a call with that module: it is taken, and counted."""
    record = m.unknown("torch._dynamo.eval_frame.OptimizedModule", args)
    return args[0] if args and isinstance(args[0], Opaque) else record


@constructor("torch.nn.parameter.Buffer")
def _buffer(m: Machine, data: Any, *rest: Any) -> Any:
    return data


@constructor(
    "torch._tensor._rebuild_from_type_v2",
    "torch._tensor._rebuild_from_type",
    "torch.tensor._rebuild_from_type",
)
def _rebuild_from_type(m: Machine, function: Any, kind: Any, args: tuple[Any, ...], state: Any) -> Any:
    if isinstance(function, Global) and m.constructors.get(function.name) is _rebuild_from_type:
        raise FormatError("A tensor is rebuilt by a function that calls itself.", maybe="the file is hostile")
    if not isinstance(args, tuple):
        raise FormatError("A tensor is rebuilt with arguments that are no tuple.")
    return _with_type(m, m.call(function, args), kind, state)


def _with_type(m: Machine, tensor: Any, kind: Any, state: Any) -> Any:
    """A tensor of a subclass: its own values if it has any, otherwise the tensors in its state."""
    if isinstance(tensor, CompositeTensor) and tensor.layout == "subclass":
        halves = [half for half in (state[:2] if isinstance(state, tuple) else (state,)) if isinstance(half, dict)]
        m.spend(ITEM * sum(map(len, halves)))
        tensor.parts = {
            label(name): part for half in halves for name, part in half.items() if isinstance(part, TensorRef)
        }
        block = next((half["block_size"] for half in halves if "block_size" in half), None)
        if isinstance(block, list | tuple):
            tensor.attributes["block_size"] = tuple(block)  # of a tensor of torchao's
        return shard_of(tensor, state)
    if isinstance(tensor, TensorRef | CompositeTensor):
        tensor.is_parameter |= getattr(kind, "name", "") == "torch.nn.parameter.Parameter"
        _note_attributes(m, getattr(kind, "name", "tensor"), state)
    return tensor


# -- tensors of several parts --------------------------------------------------------------------------------


@constructor("torch._utils._rebuild_qtensor")
def _rebuild_qtensor(
    m: Machine,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    quantizer: Any,
    grad: Any = False,
    hooks: Any = None,
) -> CompositeTensor:
    values = _dense(storage, None, offset, size, stride, False, None)
    if not (isinstance(quantizer, tuple) and 3 <= len(quantizer) <= 4 and all(map(_is_scale, quantizer[1:]))):
        raise FormatError("A quantized tensor has a quantizer that PyTorch never wrote.")
    scheme, *parameters = quantizer
    names = ("scale", "zero_point", "axis") if len(parameters) == 3 else ("scale", "zero_point")
    attributes = {
        "scheme": label(scheme),
        **dict(zip(names, parameters, strict=False)),
    }
    parts = {"int_repr": values}
    for name in names:
        if isinstance(attributes[name], TensorRef):  # per channel: one scale and zero point each
            parts[name] = attributes.pop(name)
    return CompositeTensor("quantized", values.dtype, values.shape, parts, attributes)


def _is_scale(value: Any) -> bool:
    """Whether a value is a number, a tensor, or a list of numbers (PyTorch 1.3, per channel)."""
    return isinstance(value, int | float | TensorRef) or (
        isinstance(value, list) and all(isinstance(item, int | float) for item in value)
    )


def _parts(data: Any, *counts: int) -> tuple[Any, ...]:
    if not isinstance(data, tuple) or len(data) not in counts:
        raise FormatError("A sparse tensor has parts that PyTorch never wrote.")
    return data


@constructor("torch._utils._rebuild_sparse_tensor")
def _rebuild_sparse_tensor(m: Machine, layout: Any, data: tuple[Any, ...]) -> CompositeTensor:
    kind = label(layout).rpartition(".")[2]
    if kind == "sparse_coo":
        indices, values, size, *_ = _parts(data, 3, 4)
        return _sparse(kind, size, {"indices": indices, "values": values})
    compressed, plain, values, size = _parts(data, 4)
    names = ("crow_indices", "col_indices") if kind in ("sparse_csr", "sparse_bsr") else ("ccol_indices", "row_indices")
    return _sparse(kind, size, {names[0]: compressed, names[1]: plain, "values": values})


@constructor("torch._utils._rebuild_sparse_csr_tensor")
def _rebuild_sparse_csr_tensor(m: Machine, layout: Any, data: tuple[Any, ...]) -> CompositeTensor:
    kind = label(layout).rpartition(".")[2]
    crow_indices, col_indices, values, size = _parts(data, 4)
    return _sparse(kind, size, {"crow_indices": crow_indices, "col_indices": col_indices, "values": values})


def _sparse(kind: str, size: Any, parts: dict[str, Any]) -> CompositeTensor:
    for part in parts.values():
        if not isinstance(part, TensorRef):
            raise FormatError("A sparse tensor is built from something that is no tensor.")
    return CompositeTensor(kind, parts["values"].dtype, tuple(size), parts)


@constructor("torch._utils._rebuild_meta_tensor_no_storage")
def _rebuild_meta_tensor(m: Machine, dtype: Any, size: Any, stride: Any, grad: Any = False) -> CompositeTensor:
    return CompositeTensor("meta", _dtype(dtype), tuple(size), requires_grad=bool(grad))


@constructor("torch._utils._rebuild_nested_tensor")
def _rebuild_nested_tensor(m: Machine, buffer: Any, sizes: Any, strides: Any, offsets: Any) -> CompositeTensor:
    parts = {"buffer": buffer, "sizes": sizes, "strides": strides, "offsets": offsets}
    if not all(isinstance(part, TensorRef) for part in parts.values()):
        raise FormatError("A nested tensor is built from something that is no tensor.")
    return CompositeTensor("nested", buffer.dtype, tuple(buffer.shape), parts)


@constructor("torch.nested._internal.nested_tensor._rebuild_njt")
def _rebuild_jagged_tensor(m: Machine, parts: Any) -> CompositeTensor:
    dense = {label(name): part for name, part in parts.items() if isinstance(part, TensorRef)}
    if "values" not in dense:
        raise FormatError("A nested tensor is built from something that is no tensor.")
    return CompositeTensor("nested", dense["values"].dtype, dense["values"].shape, dense)


@constructor("torch._utils._rebuild_wrapper_subclass")
def _rebuild_wrapper_subclass(
    m: Machine,
    kind: Any,
    dtype: Any,
    size: Any,
    stride: Any,
    offset: Any,
    layout: Any,
    device: Any,
    grad: Any = False,
) -> CompositeTensor:
    attributes = {"class": label(kind)}
    return CompositeTensor("subclass", _dtype(dtype), tuple(size), {}, attributes, bool(grad))


@constructor(
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_xla_tensor",
    "torch._utils._rebuild_mlc_tensor",
)
def _rebuild_device_tensor_from_numpy(m: Machine, data: Any, dtype: Any, device: Any, grad: Any) -> Any:
    if not isinstance(data, NumpyArray):
        raise FormatError("A device tensor is built from something that is no array.")
    tensor = data.as_tensor()
    tensor.requires_grad = bool(grad)
    return tensor


@constructor("torch._utils._rebuild_device_tensor_from_cpu_tensor")
def _rebuild_device_tensor_from_cpu_tensor(m: Machine, data: Any, dtype: Any, device: Any, grad: Any) -> Any:
    return data


# -- storages, sizes, layouts, TorchScript's typed containers ------------------------------------------------


@constructor("torch.storage.TypedStorage", "torch.storage._TypedStorage")
def _typed_storage(m: Machine, *args: Any) -> Any:
    return args[0] if args and isinstance(args[0], TypedStorage) else m.unknown("torch.storage.TypedStorage", args)


@constructor("torch.serialization._get_layout")
def _get_layout(m: Machine, name: str) -> Global:
    return Global(label(name))


@constructor("torch.device")
def _device(m: Machine, kind: Any = "cpu", index: Any = None) -> str:
    return label(kind)[:64] if index is None else f"{label(kind)[:64]}:{label(index)[:20]}"


class Size(tuple[int, ...]):
    """`torch.Size`: a tuple that prints differently."""


@constructor("torch.Size")
def _size(m: Machine, sizes: Any = ()) -> Size:
    m.spend(ITEM * len(sizes))
    return Size(sizes)


@constructor(
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_boollist",
)
def _build_list(m: Machine, items: Any) -> Any:
    return items


@constructor("torch.jit._pickle.build_tensor_from_id")
def _build_tensor_from_id(m: Machine, index: Any) -> Any:
    return m.unknown("torch.jit._pickle.build_tensor_from_id", (index,))


@constructor("torch.jit._pickle.restore_type_tag")
def _restore_type_tag(m: Machine, value: Any, tag: Any) -> Any:
    return value
