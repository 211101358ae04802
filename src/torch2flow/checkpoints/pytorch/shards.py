"""A rank's part of a tensor that `torch.save` wrote on every rank: DTensor and ShardedTensor.

The file of one rank says which tensor it is a part of, and how that is cut; the values beside it are in the files of
the others. Follows `torch/distributed/tensor/{_dtensor_spec,placement_types}.py`, `torch/distributed/device_mesh.py`
and `torch/distributed/_shard/sharded_tensor/{api,metadata}.py` (2.13).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from torch2flow.checkpoints.pickles import Opaque
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Tensor, TensorRef

LAYOUT = "shard"
DTENSOR = ("torch.distributed.tensor.DTensor", "torch.distributed._tensor.api.DTensor")
SHARDED_TENSOR = "torch.distributed._shard.sharded_tensor.api.ShardedTensor"


def shard_of(tensor: CompositeTensor, state: Any) -> Tensor:
    """The part that a pickled DTensor or ShardedTensor is; the tensor itself where the whole of it is here.

    The part is a `CompositeTensor` whose layout is `shard`. Its attributes are `class`, `cut` (in words), and one of:
    `problem`, why it can't be put together; `starts`, where each part of it begins; or `shards`, for each dimension of
    the mesh the dimension that it cuts or None, with `coordinate`, the rank's place in the mesh.
    """
    kind = tensor.attributes.get("class", "")
    if kind in DTENSOR:
        return _dtensor(tensor, state)
    return _sharded_tensor(tensor, state) if kind == SHARDED_TENSOR else tensor


def _dtensor(tensor: CompositeTensor, state: Any) -> Tensor:
    attributes = _attributes(state)
    local, spec = attributes.get("_local_tensor"), attributes.get("_spec")
    placements = spec.attribute("placements") if isinstance(spec, Opaque) else None
    if not isinstance(local, TensorRef) or not isinstance(spec, Opaque) or not isinstance(placements, tuple):
        return tensor
    names = [_placement(each) for each in placements]
    partial = [name for name in names if not name.startswith(("Shard(", "Replicate"))]
    if not partial and local.shape == tensor.shape:
        return local
    tensor.layout, tensor.parts = LAYOUT, {"local": local}
    tensor.attributes["cut"] = ", ".join(names)
    if partial:
        tensor.attributes["problem"] = (
            "each rank holds a summand of it" if partial[0].startswith("Partial") else "how it is cut is not documented"
        )
        return tensor
    mesh = spec.attribute("mesh")
    coordinate = mesh.attribute("_coordinate_on_dim") if isinstance(mesh, Opaque) else None
    axes = [_detail(each) if name.startswith("Shard") else None for each, name in zip(placements, names, strict=True)]
    if not _are_counts(coordinate, len(axes)) or not all(axis is None or _is_axis(axis, tensor) for axis in axes):
        tensor.attributes["problem"] = "the file does not say which rank wrote it"
    elif not _is_in_order(spec):
        tensor.attributes["problem"] = "its parts are in another order than that of the mesh"
    else:
        axes = [axis + len(tensor.shape) if axis is not None and axis < 0 else axis for axis in axes]
        tensor.attributes["coordinate"], tensor.attributes["shards"] = tuple(coordinate), tuple(axes)
    return tensor


def _sharded_tensor(tensor: CompositeTensor, state: Any) -> Tensor:
    shards = state[0] if isinstance(state, tuple) and state and isinstance(state[0], list) else []
    starts: list[tuple[int, ...]] = []
    for number, shard in enumerate(shards):
        fields = _attributes(shard.state) if isinstance(shard, Opaque) else {}
        described = fields.get("metadata")
        offsets = _attributes(described.state).get("shard_offsets") if isinstance(described, Opaque) else None
        part = fields.get("tensor")
        if not isinstance(part, TensorRef) or not _are_counts(offsets, len(tensor.shape)):
            return tensor
        starts.append(tuple(offsets))
        tensor.parts[str(number)] = part
    if [part.shape for part in tensor.parts.values()] == [tensor.shape]:
        return tensor.parts["0"]
    tensor.layout = LAYOUT
    tensor.attributes |= {"cut": "ShardedTensor", "starts": tuple(starts)}
    return tensor


def _attributes(state: Any) -> dict[str, Any]:
    """The attributes of an object whose state is a dictionary, slots, or both."""
    halves = state[:2] if isinstance(state, tuple) else (state,)
    return {name: value for half in halves if isinstance(half, dict) for name, value in half.items()}


def _placement(value: Any) -> str:
    """`Shard(0)`, `Replicate`, `Partial(sum)`, `_StridedShard(0)`."""
    if not isinstance(value, Opaque):
        return "unknown"
    name = value.class_name.rpartition(".")[2]
    detail = _detail(value)
    return f"{name}({str(detail)[:20]})" if isinstance(detail, int | str) else name


def _detail(value: Opaque) -> Any:
    """The dimension of a `Shard`, the operation of a `Partial`: an attribute, or the argument of the constructor."""
    return value.attribute("dim", value.attribute("reduce_op", value.args[0] if value.args else None))


def _is_axis(axis: Any, tensor: CompositeTensor) -> bool:
    return type(axis) is int and -len(tensor.shape) <= axis < len(tensor.shape)


def _are_counts(numbers: Any, length: int) -> TypeGuard[Sequence[int]]:
    """Whether this is a list of so many numbers from 0 on."""
    return (
        isinstance(numbers, list | tuple)
        and len(numbers) == length
        and all(type(number) is int and 0 <= number < 1 << 40 for number in numbers)
    )


def _is_in_order(spec: Opaque) -> bool:
    """Whether a dimension that several axes of the mesh cut is cut in the order of these axes, as it is by default."""
    for entry in spec.attribute("shard_order") or ():
        axes = entry.args[1] if isinstance(entry, Opaque) and len(entry.args) > 1 else ()
        if not isinstance(axes, tuple) or list(axes) != sorted(axes):
            return False
    return True
