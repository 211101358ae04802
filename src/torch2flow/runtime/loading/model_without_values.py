"""Builds a model whose parameters have shapes and no memory: one that is larger than the process that builds it.

    with torch2flow.without_values():
        model = Net()
    torch2flow.to_global(model, "zero")                   # now each rank has memory for its own blocks
    torch2flow.load_state_dict(model, "model.pth")

A parameter gives its memory back as soon as a module has it, so no more than one is there at a time (OneFlow 0.9.0
keeps what was given back for the next of that size). Values are zeros until a checkpoint is loaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch2flow.runtime.importing import import_oneflow
from torch2flow.runtime.replaced_attributes import replaced_attributes

SMALL = 1 << 10
"""Up to how many elements a parameter keeps its memory and values."""


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """A context in which modules get parameters that are zeros and take no memory. Buffers are built as usual."""
    flow = import_oneflow()
    initializers = flow.nn.init
    register, apply = flow.nn.Module.register_parameter, flow.nn.Module._apply
    kept: dict[int, Any] = {}  # those made here: a tied one stays tied

    def without(module: Any, name: str, parameter: Any) -> None:
        if parameter is not None and parameter.numel() > SMALL and id(parameter) not in kept:
            zeros = flow.zeros(1, dtype=parameter.dtype, device=parameter.device).expand(*parameter.shape)
            parameter = flow.nn.Parameter(zeros, requires_grad=parameter.requires_grad)
            kept[id(parameter)] = parameter
        register(module, name, parameter)

    def apply_without(module: Any, change: Callable[[Any], Any]) -> Any:
        return apply(module, lambda tensor: _changed(tensor, change))

    small_only = [(initializers, name, _small_only(function)) for name, function in vars(initializers).items()
                  if _initializes(name)]  # fmt: skip
    with replaced_attributes(
        (flow.nn.Module, "register_parameter", without),
        (flow.nn.Module, "_apply", apply_without),
        (flow.nn.Embedding, "_fill_padding_idx_with_zero", lambda module: None),  # all of it is zeros
        *small_only,
    ):
        yield


def _changed(tensor: Any, change: Callable[[Any], Any]) -> Any:
    """A tensor with another dtype or device; one without memory gets none: `change` would give it some."""
    if tensor.numel() <= SMALL or any(tensor.stride()):
        return change(tensor)
    return change(tensor[(slice(0, 1),) * tensor.ndim].reshape(1)).expand(*tensor.shape)


def _initializes(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _small_only(initialize: Callable[..., Any]) -> Callable[..., Any]:
    def run(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        return initialize(tensor, *args, **kwargs) if tensor.numel() <= SMALL else tensor

    return run
