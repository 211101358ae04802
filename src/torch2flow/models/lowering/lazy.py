"""OneFlow, imported when a rule first runs: reading the rules, which is all a conversion does, needs no OneFlow."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _LazyModule:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


math: Any = _LazyModule("math")
flow: Any = _LazyModule("oneflow")
F: Any = _LazyModule("oneflow.nn.functional")
nn: Any = _LazyModule("oneflow.nn")


def at(dim: int, key: Any) -> tuple[Any, ...]:
    """The index that picks `key` of one dimension: `x[at(1, slice(0, 3))]` is `x[:, 0:3]`."""
    if dim >= 0:
        return (slice(None),) * dim + (key,)
    return (..., key) + (slice(None),) * (-dim - 1)


def keys(indices: Any) -> tuple[Any, ...]:
    """ATen's list of indices as Python's index: `x[keys([None, i])]` is `x[:, i]`."""
    return tuple(slice(None) if index is None else index for index in indices)


def is_float(dtype: Any) -> bool:
    """Whether a OneFlow dtype is of floating point; known when a model is converted."""
    return str(dtype).rpartition(".")[2].startswith(("float", "bfloat", "half", "double"))
