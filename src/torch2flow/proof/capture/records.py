"""Tells PyTorch how to take dataclasses and NamedTuples apart, and under which name a `.pt2` knows them."""

import dataclasses
from typing import Any


def register_records(torch: Any, value: Any) -> bool:
    """Registers the classes in a nested value that PyTorch does not know; whether there was one."""
    pytree, found = torch.utils._pytree, False
    for leaf in pytree.tree_flatten(value)[0]:
        kind = type(leaf)
        if dataclasses.is_dataclass(leaf) and kind not in pytree.SUPPORTED_NODES:
            torch.export.register_dataclass(kind, serialized_type_name=_name(kind))
            register_records(torch, [getattr(leaf, each.name) for each in dataclasses.fields(leaf)])
            found = True
    register_named_tuples(torch, pytree.tree_flatten(value)[1])
    return found


def register_named_tuples(torch: Any, structure: Any) -> None:
    """Gives the NamedTuples of a structure the names that a file knows them by, where they have none."""
    register = getattr(torch.utils._pytree, "_register_namedtuple", None)
    kind, known = structure.context, torch.utils._pytree.SUPPORTED_NODES
    if register is not None and isinstance(kind, type) and hasattr(kind, "_fields") and kind not in known:
        register(kind, serialized_type_name=_name(kind))
    for child in structure.children_specs:
        register_named_tuples(torch, child)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
