"""Copied into ported code that keeps something of its own on a tensor, such as `bias._no_weight_decay = True`."""

from __future__ import annotations

from typing import Any

from torch2flow.models.lowering.lazy import flow

KEPT: dict[int, Any] = {}
"""The tensor and its attributes, by its id: OneFlow's tensors have no place for them, and take no weak reference."""


def keep_attributes() -> None:
    """Lets OneFlow's tensors have attributes of any name, as PyTorch's do."""
    own = flow.Tensor.__setattr__

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            own(self, name, value)
        else:
            KEPT.setdefault(id(self), (self, {}))[1][name] = value

    def __getattr__(self: Any, name: str) -> Any:
        kept = KEPT.get(id(self), (self, {}))[1]
        if name not in kept:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return kept[name]

    def __delattr__(self: Any, name: str) -> None:
        if KEPT.get(id(self), (self, {}))[1].pop(name, KEPT) is KEPT:
            raise AttributeError(name)

    flow.Tensor.__setattr__, flow.Tensor.__getattr__, flow.Tensor.__delattr__ = __setattr__, __getattr__, __delattr__
