"""Sets of text that every Python goes through in the same order.

Python goes through a set of strings in the order of their hashes, and these differ between versions of Python, with the
same PYTHONHASHSEED too. A vocabulary that a script makes by `list(set(words))` would be another one on each side.
"""

from __future__ import annotations

import abc
import builtins
from collections.abc import Iterator
from typing import Any


class _SetOrOrdered(abc.ABCMeta):
    """Makes every set an instance, as the script expects of what it calls `set`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, builtins.set)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, builtins.set)


class OrderedSet(set[Any], metaclass=_SetOrOrdered):
    """A set that gives its elements in the order of their text where one of them is text.

    >>> list(OrderedSet(["milk", "coffee", "dog"]) | {"cat"})
    ['cat', 'coffee', 'dog', 'milk']
    """

    def __iter__(self) -> Iterator[Any]:
        elements = builtins.list(super().__iter__())
        has_text = any(isinstance(each, str | bytes | tuple) for each in elements)
        return iter(sorted(elements, key=repr) if has_text else elements)

    def pop(self) -> Any:
        """Takes the first element."""
        if not self:
            raise KeyError("pop from an empty set")
        first = next(iter(self))
        self.remove(first)
        return first


def _ordered(name: str) -> Any:
    """A method of `set` whose result is ordered too."""
    method = getattr(builtins.set, name)

    def result(self: Any, *others: Any) -> Any:
        found = method(self, *others)
        return found if found is NotImplemented else OrderedSet(found)

    return result


for _name in ("copy", "union", "intersection", "difference", "symmetric_difference"):
    setattr(OrderedSet, _name, _ordered(_name))
for _name in ("and", "or", "sub", "xor", "rand", "ror", "rsub", "rxor"):
    setattr(OrderedSet, f"__{_name}__", _ordered(f"__{_name}__"))
