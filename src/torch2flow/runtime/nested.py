"""Nested arguments and results of a model: lists, tuples, dicts, dataclasses and other objects with tensors in them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Change = Callable[[str, Any], Any]
"""Is given the path of a leaf, such as `0.mask`, and the leaf, and returns another."""


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of a nested value, in PyTorch's order; leaves that are no tensors count too."""
    for _, leaf in named_leaves("", value):
        yield leaf


def named_leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The same, each with its path.

    >>> list(named_leaves("x", [1, {"mask": 2}]))
    [('x.0', 1), ('x.1.mask', 2)]
    """
    parts = _parts(value)
    if parts is None:
        yield path, value
    else:
        for key, part in parts:
            yield from named_leaves(f"{path}.{key}", part)


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested value with other leaves."""
    return replaced_by_name("", value, lambda path, leaf: change(leaf))


Filled = list[tuple[Any, Any, Any, Any]]
"""An object, the name of an attribute, what that held, and what it holds now."""


def filled(value: Any, change: Callable[[Any], Any], undo: Filled) -> Any:
    """The same nested value with other leaves, in which an object, such as a cache, stays the very object.

    Whoever gave it to a module sees what the module then adds to it; `undo` says what else is other in it.
    """
    parts = _parts(value)
    if parts is None:
        return change(value)
    new = [(key, filled(part, change, undo)) for key, part in parts]
    if all(after is before for (_, after), (_, before) in zip(new, parts, strict=True)):
        return value
    if isinstance(value, Mapping | list | tuple) or dataclasses.is_dataclass(value):
        return _put_together(value, new)
    for (key, after), (_, before) in zip(new, parts, strict=True):
        if after is not before:
            undo.append((value, key, before, after))
            object.__setattr__(value, key, after)
    return value


def emptied(undo: Filled) -> None:
    """Gives objects back what they held before they were filled, but for what has been replaced since."""
    for value, key, before, after in undo:
        if getattr(value, key, None) is after:
            object.__setattr__(value, key, before)


def replaced_by_name(path: str, value: Any, change: Change) -> Any:
    """The same nested value with other leaves; what holds them is new, too."""
    parts = _parts(value)
    if parts is None:
        return change(path, value)
    return _put_together(value, [(key, replaced_by_name(f"{path}.{key}", part, change)) for key, part in parts])


def _parts(value: Any) -> list[tuple[Any, Any]] | None:
    """What a value consists of, by position, key or attribute; None for a leaf."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(part.name, getattr(value, part.name, None)) for part in dataclasses.fields(value)]
    return list(vars(value).items()) if _holds_tensors(value, set()) else None


def _put_together(value: Any, parts: list[tuple[Any, Any]]) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(part for _, part in parts))
    if isinstance(value, list | tuple):
        return type(value)(part for _, part in parts)
    if type(value) is dict:
        return dict(parts)
    other = copy.copy(value)
    for key, part in parts:
        if isinstance(value, Mapping):
            other[key] = part
        else:
            object.__setattr__(other, key, part)
    return other


def _holds_tensors(value: Any, seen: set[int]) -> bool:
    """Whether a value of any class, such as a cache, has a tensor in its attributes, or in theirs."""
    if id(value) in seen or callable(value) or _is_tensor(value):
        return False
    seen.add(id(value))
    inside = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping | list | tuple):
        inside = getattr(value, "__dict__", {}).values()
    return any(_is_tensor(part) or _holds_tensors(part, seen) for part in inside)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "requires_grad") and hasattr(value, "shape")
