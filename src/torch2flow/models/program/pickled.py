"""Reads a pickled `nn.Module` as a tree of its modules: class names, attributes, tensors and hooks.

Follows `torch/nn/modules/module.py`: a module's state holds `_parameters`, `_buffers` and `_modules` beside its own
attributes. Nothing is imported; what a class does is known to `lowering/modules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch2flow.checkpoints.pickles import Opaque, label
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import is_module

_HOOKS = {
    "_forward_hooks": "a forward hook",
    "_forward_pre_hooks": "a forward pre-hook",
    "_backward_hooks": "a backward hook",
    "_backward_pre_hooks": "a backward pre-hook",
}
_OLD_NAMES = {"_LinearWithBias": "Linear", "NonDynamicallyQuantizableLinear": "Linear", "Container": "Module"}
"""Classes that do the same as another: the first is torch 1.5 to 1.8's name of the second."""


def known_as(class_name: str) -> str:
    """The name in `torch.nn` of a class, by its full name; "" for any other class."""
    if not class_name.startswith(("torch.nn.modules.", "torch.nn.parallel.")):
        return ""
    name = class_name.rpartition(".")[2]
    return _OLD_NAMES.get(name, name)


@dataclass(slots=True)
class PickledModule:
    """One module.

    Attributes:
        path: its name in `named_modules()`.
        class_name: `torch.nn.modules.conv.Conv2d`.
        attributes: everything else of its state, PyTorch's own bookkeeping included.
        parameters, buffers: by name; None where the class has one and this module has not.
        hidden: the buffers that are not in the `state_dict()`.
        children: by name, in order.
        record: the object in the file: one for all places where the same module is.
    """

    path: str
    class_name: str
    attributes: dict[str, Any]
    parameters: dict[str, Tensor | None]
    buffers: dict[str, Tensor | None]
    hidden: frozenset[str]
    children: dict[str, PickledModule]
    record: Opaque = field(repr=False)

    @property
    def known_as(self) -> str:
        """The name of the class in `torch.nn`; "" for any other class."""
        return known_as(self.class_name)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; the default where the PyTorch that wrote the file had no such attribute yet."""
        return self.attributes.get(name, default)

    def tensors(self) -> dict[str, Tensor]:
        """The parameters and buffers that are there."""
        return {name: value for name, value in {**self.parameters, **self.buffers}.items() if value is not None}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a parameter or buffer; () where there is none."""
        tensor = self.tensors().get(name)
        return () if tensor is None else tuple(tensor.shape)

    def hooks(self) -> Iterator[tuple[str, str]]:
        """What runs beside the module's own forward: its kind, and its name."""
        for kind, words in _HOOKS.items():
            found = self.get(kind)
            for hook in found.values() if isinstance(found, dict) else ():
                yield words, label(hook)

    def walk(self) -> Iterator[PickledModule]:
        """This module and all inside, as `named_modules(remove_duplicate=False)` has them."""
        yield self
        for child in self.children.values():
            yield from child.walk()


def read_module(record: Opaque, path: str = "") -> PickledModule:
    """The tree of a record for which `is_module` holds, and whose state dict could be read (so it is finite)."""
    attributes: dict[str, Any] = {}
    for part in record.state if isinstance(record.state, tuple) else (record.state,):
        if isinstance(part, dict):
            attributes.update(part)
    hidden = attributes.get("_non_persistent_buffers_set")
    buffers = attributes.get("_buffers")
    children = {
        str(name): read_module(child, f"{path}.{name}" if path else str(name))
        for name, child in attributes["_modules"].items()
        if is_module(child)
    }
    return PickledModule(
        path,
        record.class_name,
        attributes,
        _tensors(attributes["_parameters"]),
        _tensors(buffers) if isinstance(buffers, dict) else {},
        frozenset(map(str, hidden)) if isinstance(hidden, set | list | frozenset) else frozenset(),
        children,
        record,
    )


def _tensors(values: dict[Any, Any]) -> dict[str, Tensor | None]:
    return {
        str(name): value if isinstance(value, TensorRef | CompositeTensor) else None for name, value in values.items()
    }
