"""Checkpoints of NumPy's arrays alone: detectron and many research projects pickle those."""

from __future__ import annotations

from typing import Any

from torch2flow.checkpoints.pickles import Opaque
from torch2flow.checkpoints.pytorch.arrays import NumpyArray
from torch2flow.checkpoints.pytorch.constructors import TypedStorage
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, TensorRef


def with_arrays_as_tensors(root: Any) -> Any:
    """The data with a tensor for each array of numbers in a dictionary of nothing but arrays, changed in place.

    It stays as it is if there is a tensor or an object in it: beside those, an array is no weight, but a score or the
    state of a generator.
    """
    arrays: list[tuple[Any, Any, NumpyArray]] = []
    pending: list[Any] = [[root]]
    seen: set[int] = set()
    while pending:
        holder = pending.pop()
        is_weights = isinstance(holder, dict) and all(isinstance(each, NumpyArray | dict) for each in holder.values())
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(value, TensorRef | CompositeTensor | TypedStorage | Opaque):
                return root
            if isinstance(value, dict | list | tuple) and id(value) not in seen:
                seen.add(id(value))
                pending.append(value)
            elif isinstance(value, NumpyArray) and value.is_numbers and is_weights:
                arrays.append((holder, key, value))
    for holder, key, array in arrays:
        holder[key] = array.as_tensor()
    return root
