"""What the modules of a model hold in their attributes, kept and put back: a run may fill a cache, or count.

The objects are kept, not copied; of lists, dicts and sets also what was in them. PyTorch's modules and OneFlow's.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any


class Attributes:
    """The attributes of a model and of all modules in it.

    Args:
        model: of PyTorch or OneFlow.
    """

    def __init__(self, model: Any) -> None:
        self._kept = [
            (part, type(part), {name: (value, _members(value)) for name, value in vars(part).items()})
            for part in model.modules()
        ]

    def __iter__(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Each module with its attributes by name."""
        for part, _, attributes in self._kept:
            yield part, {name: value for name, (value, _) in attributes.items()}

    def changed(self) -> list[str]:
        """The public attributes that hold something else now, each with the class of its module."""
        return [
            f"`{name}` of {kind.__name__}"
            for part, kind, attributes in self._kept
            for name, value in vars(part).items()
            if name[0] != "_" and name != "training" and _is_other(value, *attributes.get(name, (None, None)))
        ]

    def put_back(self) -> None:
        """Gives each module the attributes that it had, but one whose class changed: a lazy layer that is made now."""
        for part, kind, attributes in self._kept:
            if type(part) is not kind:
                continue
            part.__dict__.clear()
            for name, (value, members) in attributes.items():
                part.__dict__[name] = value
                if members is not None:
                    value.clear()
                    (value.extend if isinstance(value, list) else value.update)(members)


def _is_other(value: Any, before: Any, members: Any) -> bool:
    """Whether an attribute is another object now, or a container with other objects in it."""
    if value is not before or members is None:
        return value is not before
    now = list(value.values()) if isinstance(value, dict) else list(value)
    then = list(members.values()) if isinstance(members, dict) else list(members)
    return len(now) != len(then) or any(one is not two for one, two in zip(now, then, strict=True))


def _members(value: Any) -> Any:
    return copy.copy(value) if type(value) in (dict, OrderedDict, list, set) else None
