"""Tells PyTorch how to take dataclasses and NamedTuples apart, and under which name a `.pt2` knows them.

PyTorch's own results with names, such as what `x.max(1)` returns, are NamedTuples to a `.pt2` too.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

RETURN_TYPES = "torch.return_types"


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
    """Gives the NamedTuples of a structure the names that a file knows them by, where they have none.

    What `topk`, `max` and others return is a named tuple written in C, of a type in `torch.return_types`.
    """
    pytree = torch.utils._pytree
    register = getattr(pytree, "_register_namedtuple", None)
    kind, known = structure.context, pytree.SUPPORTED_NODES
    if getattr(structure.type, "__module__", "") == RETURN_TYPES and hasattr(pytree, "_SerializeNodeDef"):
        _register_return_type(pytree, structure.type)
    if register is not None and isinstance(kind, type) and hasattr(kind, "_fields") and kind not in known:
        register(kind, serialized_type_name=_name(kind))
    for child in structure.children_specs:
        register_named_tuples(torch, child)


def _register_return_type(pytree: Any, kind: Any) -> None:
    fields = json.dumps(kind.__match_args__)
    named = pytree._SerializeNodeDef(kind, _name(kind), lambda context: fields, lambda context: None)
    pytree.SUPPORTED_SERIALIZED_TYPES[kind] = named
    pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE[_name(kind)] = kind


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
