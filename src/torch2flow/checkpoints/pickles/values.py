"""The records that a pickle becomes, beside plain containers, when nothing in it is imported or called."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """The name of a class or function in a stream, never the thing itself: `Global('torch.float32')`."""

    name: str

    def __repr__(self) -> str:
        return f"Global({self.name!r})"


@dataclass(slots=True, eq=False)
class Opaque:
    """An object of a class that is not known: its name and everything the stream said of it.

    Attributes:
        class_name: dotted name, as the stream spells it.
        args: the arguments of its constructor.
        state: what BUILD would have given to `__setstate__` or `__dict__`; None if nothing.
        items: what was appended to it, for subclasses of list and set.
        entries: the key-value pairs that were set, for subclasses of dict.
    """

    class_name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute `name` of the object's state, also where the state is (dict, slots)."""
        for part in self.state[:2] if isinstance(self.state, tuple) else (self.state,):
            if isinstance(part, dict) and name in part:
                return part[name]
        return default

    def __repr__(self) -> str:
        return f"Opaque({self.class_name!r})"


class StatefulDict(collections.OrderedDict[Any, Any]):
    """An OrderedDict with the attributes its pickle carried: PyTorch keeps `_metadata` there."""

    attributes: dict[Any, Any] | None = None


def label(value: Any) -> str:
    """A short text for a value of a stream. `str()` is not used: it never ends for a list shared sixty levels deep."""
    if isinstance(value, Global | Opaque):
        return value.name if isinstance(value, Global) else value.class_name
    if isinstance(value, str | int | float | None):
        return str(value)[:200]
    return f"a {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that the *writer* shall name. It is not a `Global`: a name out of a file is never written.

    A member of a class is spelled `module:Class.member`.
    """

    name: str


@dataclass(slots=True, eq=False)
class PickledCall:
    """A call for the *writer* to put into a stream: `function(*args)`, then `state` by BUILD.

    Attributes:
        function: what is called.
        args: its arguments.
        state: the BUILD state, or None.
        new: write NEWOBJ (`cls.__new__(cls, *args)`) in place of REDUCE.
    """

    function: Name
    args: tuple[Any, ...] = ()
    state: Any = None
    new: bool = False
