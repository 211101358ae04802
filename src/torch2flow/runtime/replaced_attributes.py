"""Other attributes for a while, such as another function in a module of PyTorch or OneFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_ABSENT = object()


@contextlib.contextmanager
def replaced_attributes(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """A context in which objects, classes or modules have other attributes of their own.

    Args:
        changes: an object, the attribute's name and its value, each.
    """
    before = [(owner, name, vars(owner).get(name, _ABSENT)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
