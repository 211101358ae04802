"""A model whose parameters have memory only while the modules that hold them run: one that is larger than the machine.

A module of PyTorch's or OneFlow's alike. Its parameters are placeholders without values. The model is divided into
units, each a module as large as a limit allows, such as a decoder layer: before a unit runs, its parameters are read
from a checkpoint, and after it they are let go.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch2flow.proof.watching import METHOD, set_own

LIMIT = 1 << 28
"""Elements of the largest unit, if its modules can be divided: in float64, two GiB."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A module whose parameters are there together: with those of all modules in it, or its own alone."""

    module: Any
    whole: bool


def units(model: Any, limit: int = LIMIT) -> list[Unit]:
    """The largest modules with at most `limit` elements in their parameters; a larger one is divided into its parts."""
    if _elements(model) <= limit and hasattr(type(model), "forward") and not _is_container(model):
        return [Unit(model, True)]
    own = [Unit(model, False)] if any(each is not None for each in model._parameters.values()) else []
    return own + [unit for part in model.children() for unit in units(part, limit)]


def _elements(module: Any) -> int:
    return sum(math.prod(parameter.shape) for parameter in module.parameters())


def _is_container(module: Any) -> bool:
    """Whether others call what is in it, and not the module itself."""
    return any(kind.__name__ in ("ModuleList", "ModuleDict", "ParameterList") for kind in type(module).__mro__)


@dataclass
class WeightsOnDemand:
    """Gives the parameters of a model their values while they are needed.

    Attributes:
        model: its parameters are placeholders.
        load: makes the parameter of a name, for a placeholder.
        limit: elements of the largest unit.
    """

    model: Any
    load: Callable[[str, Any], Any]
    limit: int = LIMIT
    names: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self._placeholders = dict(self.model.named_parameters())
        self.names = {id(placeholder): name for name, placeholder in self._placeholders.items()}

    def give(self) -> list[Callable[[], None]]:
        """From now on each unit gets its parameters when it is called, and loses them when it returns.

        Returns:
            What ends that.
        """
        return [
            self._wrap(unit, name)
            for unit in units(self.model, self.limit)
            for name in dir(type(unit.module))
            if METHOD.fullmatch(name)
        ]

    @contextlib.contextmanager
    def given(self) -> Iterator[None]:
        """A context in which they do."""
        undo = self.give()
        try:
            yield
        finally:
            for step in undo:
                step()

    def _wrap(self, unit: Unit, name: str) -> Callable[[], None]:
        forward = getattr(unit.module, name)

        @functools.wraps(forward)
        def with_values(*args: Any, **kwargs: Any) -> Any:
            with self._loaded(unit):
                return forward(*args, **kwargs)

        return set_own(unit.module, name, with_values)

    @contextlib.contextmanager
    def _loaded(self, unit: Unit) -> Iterator[None]:
        parts = unit.module.modules() if unit.whole else [unit.module]
        places = [
            (part._parameters, name, value)
            for part in parts
            for name, value in part._parameters.items()
            if id(value) in self.names  # not one that has its values already
        ]
        made: dict[int, Any] = {}
        try:
            for table, name, placeholder in places:
                if id(placeholder) not in made:
                    made[id(placeholder)] = self.load(self.names[id(placeholder)], placeholder)
                table[name] = made[id(placeholder)]
            yield
        finally:
            for table, name, placeholder in places:
                table[name] = placeholder
