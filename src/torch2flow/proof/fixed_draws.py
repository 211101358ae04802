"""Random numbers that both libraries draw alike, so that what a model makes of them can be compared.

The generators of PyTorch and OneFlow give other numbers, whatever the seed. While a model is compared, every draw gives
fixed numbers instead, which depend on its shape alone. They are made by additions, products and `floor` in float64,
which all libraries round alike, and have 24 bits, so that float32 and float64 get the same.

What both libraries draw inside a larger function (`multinomial`, `rrelu`, `poisson`) stays random.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_GOLDEN, _PLASTIC, _SQUARE = 0.6180339887498949, 0.7548776662466927, 0.4142135623730951
"""Steps whose multiples spread evenly over the interval from 0 to 1, and are unlike each other."""


def uniform(library: Any, shape: Any, device: Any, step: float = _GOLDEN) -> Any:
    """Numbers between 0 and 1, neither of which is among them, as a float64 tensor.

    Args:
        library: the module `torch` or `oneflow`.
        shape: of the tensor.
        device: of the tensor.
        step: from one element to the next.
    """
    count = math.prod(shape)
    places = library.arange(0, count, dtype=library.float64, device=device) * step + 0.5
    parts = library.floor((places - library.floor(places)) * 2.0**23) * 2.0**-23 + 2.0**-24
    return parts.reshape(tuple(shape))


def normal(library: Any, shape: Any, device: Any) -> Any:
    """Numbers of mean 0 and deviation 1, nearly normal: the sum of three draws between 0 and 1."""
    drawn = sum(uniform(library, shape, device, step) for step in (_GOLDEN, _PLASTIC, _SQUARE))
    return ((drawn - 1.5) * 2.0).to(library.float32).to(library.float64)


Given = Callable[..., Any]
"""Gives an argument of a call by its place, its names, and what it is where it is left out."""


def numbers(library: Any, name: str, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a random function gives in place of what it drew; None for one that stays random.

    Args:
        library: the module `torch` or `oneflow`.
        name: the function's.
        made: what it drew: its shape and device count.
        args: what it was given; a method's first is the tensor itself.
        kwargs: what it was given by name.
    """

    def given(place: int, *names: str, default: Any = None) -> Any:
        found = [kwargs[name] for name in names if name in kwargs]
        return found[0] if found else args[place] if place < len(args) else default

    drawn = _FUNCTIONS.get(name)
    return None if drawn is None else drawn(library, made, given)


def _uniform(library: Any, made: Any, given: Given) -> Any:
    return uniform(library, made.shape, made.device)


def _between(library: Any, made: Any, given: Given) -> Any:
    low, high = given(1, "from", "a", default=0.0), given(2, "to", "b", default=1.0)
    return _uniform(library, made, given) * (high - low) + low


def _normal(library: Any, made: Any, given: Given) -> Any:
    return normal(library, made.shape, made.device)


def _normal_of(first: int) -> Callable[[Any, Any, Given], Any]:
    def drawn(library: Any, made: Any, given: Given) -> Any:
        mean, deviation = given(first, "mean", default=0.0), given(first + 1, "std", default=1.0)
        return normal(library, made.shape, made.device) * deviation + mean

    return drawn


def _kept(library: Any, made: Any, given: Given) -> Any:
    rate = given(1, "p")
    return _uniform(library, made, given) < (given(0, "input", "self") if rate is None else rate)


def _kept_in_place(library: Any, made: Any, given: Given) -> Any:
    return _uniform(library, made, given) < given(1, "p", default=0.5)


def _exponential(library: Any, made: Any, given: Given) -> Any:
    return -library.log(1.0 - _uniform(library, made, given)) / given(1, "lambd", default=1.0)


def _log_normal(library: Any, made: Any, given: Given) -> Any:
    drawn = normal(library, made.shape, made.device)
    return library.exp(drawn * given(2, "std", default=2.0) + given(1, "mean", default=1.0))


def _cauchy(library: Any, made: Any, given: Given) -> Any:
    turned = library.tan(math.pi * (_uniform(library, made, given) - 0.5))
    return turned * given(2, "sigma", default=1.0) + given(1, "median", default=0.0)


def _geometric(library: Any, made: Any, given: Given) -> Any:
    return library.ceil(library.log(1.0 - _uniform(library, made, given)) / math.log(1.0 - given(1, "p")))


def _integers(first: int) -> Callable[[Any, Any, Given], Any]:
    def drawn(library: Any, made: Any, given: Given) -> Any:
        limits = [given(first, "low", "from"), given(first + 1, "high", "to")]
        numbers = [each for each in limits if isinstance(each, int)]
        if not numbers:
            return None  # of all that the dtype can hold
        low, high = numbers if len(numbers) == 2 else (0, *numbers)
        return library.floor(_uniform(library, made, given) * (high - low)) + low

    return drawn


def _order(library: Any, made: Any, given: Given) -> Any:
    return library.arange(made.shape[0] - 1, -1, -1, device=made.device)


_FUNCTIONS: dict[str, Callable[[Any, Any, Given], Any]] = {
    "rand": _uniform,
    "rand_like": _uniform,
    "uniform_": _between,
    "randn": _normal,
    "randn_like": _normal,
    "normal": _normal_of(0),
    "normal_": _normal_of(1),
    "bernoulli": _kept,
    "bernoulli_": _kept_in_place,
    "exponential_": _exponential,
    "log_normal_": _log_normal,
    "cauchy_": _cauchy,
    "geometric_": _geometric,
    "random_": _integers(1),
    "randint": _integers(0),
    "randint_like": _integers(1),
    "randperm": _order,
}

FIXED = tuple(_FUNCTIONS)
"""The functions that give fixed numbers, as either library calls them."""

NAMES = (*FIXED, "gumbel_softmax")
"""The same, and those that draw by one of them."""
