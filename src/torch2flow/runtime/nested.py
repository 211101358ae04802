"""Nested arguments and results of a model: lists, tuples and dicts with tensors in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of nested lists, tuples and dicts, in PyTorch's order; leaves that are no tensors count too."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested value with other leaves."""
    if isinstance(value, dict):
        return type(value)({key: replaced(item, change) for key, item in value.items()})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replaced(item, change) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(replaced(item, change) for item in value)
    return change(value)
