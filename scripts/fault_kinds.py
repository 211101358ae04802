"""What a fault that the judge is tested with is made of: a change to a converted model, and where it then lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Source:
    """Another text in the source of a class, which holds the old one once."""

    cls: str
    old: str
    new: str


@dataclass(frozen=True)
class Built:
    """A statement about the model that is built, which goes by `model`."""

    statement: str


@dataclass(frozen=True)
class Swapped:
    """Two weights that change places."""

    one: str
    other: str


@dataclass(frozen=True)
class Weight:
    """Another value of a stored weight."""

    name: str
    change: Callable[[Array], Array]


@dataclass(frozen=True)
class Optimizer:
    """Another class of `flow.optim`, or other settings than those asked for."""

    name: str
    settings: str
    instead: str = ""


Change = Source | Built | Swapped | Weight | Optimizer


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        model: as `scripts.models` names it.
        name: what is wrong, in words.
        change: what is done to the converted model.
        where: paths of the modules that may be named; one, but for the reason given.
        cause: what the likely cause must speak of, as a regular expression.
        reason: why there is more than one path.
        beyond: why the judge can't locate it, where it can't: this counts as not located, and is no failure.
    """

    model: str
    name: str
    change: Change
    where: tuple[str, ...]
    cause: str
    reason: str = ""
    beyond: str = ""


def bit(number: int, element: int = 0) -> Callable[[Array], Array]:
    """Flips one bit of one element: 0 is the last of the mantissa, 23 the last of the exponent."""

    def change(values: Array) -> Array:
        values = values.copy()
        values.reshape(-1).view(np.uint32)[element] ^= np.uint32(1 << number)
        return values

    return change


def rounded(mantissa: int) -> Callable[[Array], Array]:
    """Cuts off all but so many bits of the mantissa: 7 leave bfloat16, 10 float16."""

    def change(values: Array) -> Array:
        kept = values.copy()
        kept.view(np.uint32)[...] &= np.uint32(0xFFFFFFFF << (23 - mantissa) & 0xFFFFFFFF)
        return kept

    return change


def transposed(values: Array) -> Array:
    """A square weight whose axes were taken for each other."""
    return np.ascontiguousarray(values.T)


def without(values: Array) -> Array:
    """A bias that was left out."""
    return np.zeros_like(values)


def turned(values: Array) -> Array:
    """A convolution's kernel read backwards, as a true convolution has it."""
    return np.ascontiguousarray(values[..., ::-1, ::-1])
