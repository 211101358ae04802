"""What operator rules are written with: OneFlow, imported when a rule first runs; helpers; indices of one dimension.

While a rule is turned into source nothing of this runs: `flow`, `F`, `nn` and helpers are recorded, and OneFlow is not
imported. The recorder is `codegen/recording.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class RuleRecorder(Protocol):
    """What is told of each use of OneFlow and each call of a helper, and answers with a stand-in.

    Attributes:
        defaults: the defaults of the rule that is recorded: a keyword of OneFlow's that equals one is left out.
    """

    defaults: dict[str, Any]

    def library(self, name: str) -> Any: ...

    def helper(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


_recordings: list[RuleRecorder] = []


@contextmanager
def recorded_by(recording: RuleRecorder) -> Iterator[None]:
    """Uses of OneFlow and calls of helpers go to `recording` in this block."""
    _recordings.append(recording)
    try:
        yield
    finally:
        _recordings.pop()


def recorded_defaults() -> dict[str, Any]:
    """The defaults of the rule that is recorded now."""
    return _recordings[-1].defaults if _recordings else {}


_only_declaring: list[bool] = []


@contextmanager
def declaring() -> Iterator[None]:
    """A class that is defined in this block gets a base for show where OneFlow is not imported yet.

    Its source is all that porting needs. To use the class, import OneFlow first.
    """
    _only_declaring.append(True)
    try:
        yield
    finally:
        _only_declaring.pop()


class _ForShow(type):
    """The class of classes that stand for OneFlow's in a class statement; called, they are decorators."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _ForShow(name, (), {})

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return lambda function: function


class _Library:
    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Python asks, as `inspect.unwrap` does: OneFlow is not imported for that.
        if _only_declaring and self._module.partition(".")[0] not in sys.modules:
            return _ForShow(name, (), {})
        found = _recordings[-1].library(self._name) if _recordings else import_module(self._module)
        return getattr(found, name)


flow: Any = _Library("oneflow", "flow")
F: Any = _Library("oneflow.nn.functional", "F")
nn: Any = _Library("oneflow.nn", "nn")


def helper(function: Function) -> Function:
    """Marks a function that rules call: a model gets a copy of it, and calls that."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _recordings[-1].helper(function, args, kwargs) if _recordings else function(*args, **kwargs)

    return cast(Function, call)


def at(dim: int, key: Any) -> tuple[Any, ...]:
    """The index that picks `key` of one dimension: `x[at(1, slice(0, 3))]` is `x[:, 0:3]`."""
    if abs(dim) > 64:
        raise NotImplementedError(f"a tensor of more than 64 dimensions: {dim}")
    if dim >= 0:
        return (slice(None),) * dim + (key,)
    return (..., key) + (slice(None),) * (-dim - 1)


def keys(indices: Any) -> tuple[Any, ...]:
    """ATen's list of indices as Python's index: `x[keys([None, i])]` is `x[:, i]`."""
    return tuple(slice(None) if index is None else index for index in indices)


def may_be_empty(shape: Any) -> bool:
    """Whether a tensor may have no elements when the model runs; known when it is converted."""
    return any(getattr(size, "may_be_zero", False) for size in shape)


def is_float(dtype: Any) -> bool:
    """Whether a OneFlow dtype is of floating point; known when a model is converted."""
    return str(dtype).rpartition(".")[2].startswith(("float", "bfloat", "half", "double"))
