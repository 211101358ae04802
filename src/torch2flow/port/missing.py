"""What stands in ported code for a name that OneFlow can't have: it raises, in words, when the code gets there."""

from __future__ import annotations

import sys
import warnings
from typing import Any


class NotInOneFlow(NotImplementedError, AttributeError):
    """Code got to what OneFlow can't do. `hasattr` and `except AttributeError` see that it is not there."""


class MissingName:
    """Stands for a name of PyTorch: no object is an instance of it, and whatever calls it says what is missing.

    A class that inherits from it can be defined, and can't be made. What a definition needs, a default argument or a
    decorator (`later`), may be called while that is read. What a decorator makes of a function raises when called. A
    module that calls it while it is imported gets a warning, so that the rest can be used; a program is stopped.
    """

    def __init__(self, name: str, later: bool = False) -> None:
        self.__dict__.update(_name=name, _later=later, __doc__=f"{name}, which OneFlow 0.9.0 has not.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        at_import = caller.f_code.co_name == "<module>" or "__qualname__" in caller.f_locals
        spared = at_import and caller.f_globals.get("__name__") != "__main__"
        if spared and not self._later:
            warnings.warn(f"OneFlow 0.9.0 has no {self._name}: what needs it will say so.", stacklevel=2)
        if spared or self._later:
            decorates = len(args) == 1 and callable(args[0]) and not kwargs
            return MissingName(f"{self._name}(...)", not decorates)
        raise NotInOneFlow(f"OneFlow 0.9.0 has no {self._name}, and torch2flow has nothing to put in its place.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MissingName(f"{self._name}.{name}", self._later)

    def __getitem__(self, key: Any) -> Any:
        return MissingName(f"{self._name}[...]", self._later)

    def __setattr__(self, name: str, value: Any) -> None:
        raise NotInOneFlow(f"OneFlow 0.9.0 has no {self._name}, so {name} can't be set.")

    def __bool__(self) -> bool:
        raise NotInOneFlow(f"OneFlow 0.9.0 has no {self._name}.")

    __iter__ = __len__ = __enter__ = __exit__ = __call__

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __or__

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __subclasscheck__(self, subclass: Any) -> bool:
        return False

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        missing = self

        def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:
            raise NotInOneFlow(f"OneFlow 0.9.0 has no {missing._name}, of which {cls.__name__} is a kind.")

        return (type("MissingName" + self._name.rpartition(".")[2].strip("([.])"), (), {"__new__": __new__}),)


def missing(name: str, later: bool = False) -> Any:
    """Stands for a name that OneFlow has not."""
    return MissingName(name, later)
