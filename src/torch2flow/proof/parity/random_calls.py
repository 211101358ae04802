"""Which layers of a OneFlow model drop, and at which rate; and how to switch all of them off.

OneFlow has nothing that sees every call of its functions, so the functions are replaced for a while, and with them what
a converted model brings along where OneFlow lacks one (`feature_dropout`), in whatever module of Python it lies.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torch2flow.proof.dropout import dropout_off
from torch2flow.proof.fixed_draws import FIXED, numbers
from torch2flow.proof.random_calls import RECURRENT, RandomCall, recurrent_rate
from torch2flow.proof.watching import CallStack, WatchedCall, watched
from torch2flow.runtime.replaced_attributes import replaced_attributes

CLOSE = 1e-3
"""How much the factor of what is kept may be off."""

MANY = 8
"""So many elements of a channel are not all kept, or all dropped, by chance."""

SMALLEST = 1e-30
"""What is smaller has too few digits for a factor."""

RATES = ("p", "drop_prob", "dropout_p", "rate", "prob")
"""Names of a parameter that holds the probability to drop."""

SATURATING = ("alpha_dropout", "feature_alpha_dropout", "drop_to_saturation")
"""Functions in which what is dropped becomes SELU's limit, and all else is moved."""

ACTIVE = ("training", "train")
"""Names of a parameter that says whether anything is dropped at all."""


@dataclass
class DropoutWatcher(CallStack):
    """Notes every dropout of the runs within a context, and lets it drop.

    Attributes:
        calls: each with the path of the module whose code called it.
        faults: by path, what a dropout did that is not what its rate says.
        busy: how many dropouts are under way: one inside another is the same.
        drawing: the paths of the modules whose own code draws random numbers.
        whole: by path, whether its dropouts drop whole channels; where inputs don't tell, it is not there.
    """

    calls: list[RandomCall] = field(default_factory=list)
    busy: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    drawing: set[str] = field(default_factory=set)
    whole: dict[str, bool] = field(default_factory=dict)

    def around(
        self, call: WatchedCall, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `forward`; a module that itself drops is noted."""
        rate = _rate_of_module(call.module)
        if not rate:
            return super().around(call, forward, args, kwargs)
        self.note(call.path, rate)
        self.busy += 1
        try:
            return super().around(call, forward, args, kwargs)
        finally:
            self.busy -= 1

    def note(self, path: str, rate: float) -> None:
        """Notes a dropout, unless it is part of another."""
        if not self.busy and rate > 0:
            self.calls.append(RandomCall(path, "dropout", rate))

    def check(self, given: Any, output: Any, rate: float) -> None:
        """Notes a dropout that gives its values another factor than 1 / (1 - rate), so that the mean does not stay."""
        if given is None or getattr(output, "shape", None) != given.shape or rate >= 1:
            return
        before, made = (each.detach().numpy().astype(np.float64).ravel() for each in (given, output))
        if not np.isfinite(before).all():
            return
        self._note_channels(given, output)
        kept = (np.abs(before) > SMALLEST) & (made != 0)
        factors = made[kept] / before[kept]
        if factors.size and np.abs(factors * (1 - rate) - 1).max() > CLOSE:
            by, wanted = f"{np.median(factors):.4g}", f"{1 / (1 - rate):.4g}"
            self.faults[self.path] = f"what is kept is multiplied by {by}, and a rate of {rate:g} asks for {wanted}"

    def _note_channels(self, given: Any, output: Any) -> None:
        """Notes whether all elements of a channel have the same fate, where a channel has many and some are dropped."""
        if given.ndim < 3:
            return
        before, made = (each.detach().numpy().reshape(*given.shape[:2], -1) for each in (given, output))
        live = np.abs(before) > SMALLEST
        many, gone = live.sum(-1), (live & (made == 0)).sum(-1)
        gone, many = gone[many >= MANY], many[many >= MANY]
        if gone.any():
            self.whole[self.path] = bool(((gone == 0) | (gone == many)).all())

    @contextlib.contextmanager
    def noted(self, flow: Any, model: Any) -> Iterator[None]:
        """A context in which the model's dropouts are noted."""

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            def noting(*args: Any, **kwargs: Any) -> Any:
                rate = _rate_of_call(function, args, kwargs)
                self.note(self.path, rate)
                # A copy: it may be changed in place.
                given = args[0].clone() if args and isinstance(args[0], flow.Tensor) else None
                self.busy += 1
                try:
                    output = function(*args, **kwargs)
                finally:
                    self.busy -= 1
                if function.__name__ not in (*RECURRENT, *SATURATING):
                    self.check(given, output, rate)
                return output

            return noting

        def drawn(name: str, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not self.busy:
                self.drawing.add(self.path)
            return made

        with watched(model, self), _replaced_functions(flow, model, wrap), _replaced_draws(flow, drawn):
            yield


@contextlib.contextmanager
def nothing_dropped(flow: Any, model: Any, *, attributes: bool = True) -> Iterator[None]:
    """A context in which no dropout has an effect, neither as a module nor as a function, as in the recording.

    Args:
        flow: the module `oneflow`.
        model: what is run.
        attributes: also set what an author's own class holds as a probability to 0; else of dropout's classes only.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        names = _parameters(function)
        if function.__name__ in RECURRENT:
            return lambda *args: function(*(0.0 if isinstance(value, float) else value for value in args))
        if names is None:
            return lambda x, *args, **options: x
        rate = next(name for name in names if name in RATES)
        place = names.index(rate)

        def without(*args: Any, **kwargs: Any) -> Any:
            if place < len(args):
                return function(*args[:place], 0.0, *args[place + 1 :], **kwargs)
            return function(*args, **{**kwargs, rate: 0.0})

        return without

    with _replaced_functions(flow, model, wrap), dropout_off(model, everything=attributes):
        yield


@contextlib.contextmanager
def fixed_draws(flow: Any) -> Iterator[None]:
    """A context in which OneFlow's draws give the numbers that the recording had."""

    def drawn(name: str, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with flow.no_grad():
            fixed = numbers(flow, name, made, args, kwargs)
            if fixed is None:
                return made
            fixed = fixed.to(made.dtype)
            return made.copy_(fixed) if name.endswith("_") else fixed

    with _replaced_draws(flow, drawn):
        yield


Drawn = Callable[[str, Any, tuple[Any, ...], dict[str, Any]], Any]
"""Is given a function's name, what it drew and what it was given, and returns what the caller shall get."""


def _replaced_draws(flow: Any, drawn: Drawn) -> contextlib.AbstractContextManager[None]:
    """A context in which what OneFlow's random functions draw goes through `drawn`."""

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(function)(lambda *args, **kwargs: drawn(name, function(*args, **kwargs), args, kwargs))

    places = [(home, name) for home in (flow, flow._C, flow.Tensor) for name in FIXED if hasattr(home, name)]
    return replaced_attributes(*((home, name, wrap(name, getattr(home, name))) for home, name in places))


def _rate_of_module(module: Any) -> float:
    """The rate of a module that drops as a whole, 0 for any other."""
    kind = type(module).__name__.lower()
    if not module.training:
        return 0.0
    if "dropout" in kind:
        return _number(getattr(module, "p", 0.0))
    if kind in ("lstm", "gru", "rnn") and getattr(module, "num_layers", 1) > 1:
        return _number(getattr(module, "dropout", 0.0))
    return 0.0


def _rate_of_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    if function.__name__ in RECURRENT:
        return recurrent_rate(args)[1]
    names = _parameters(function) or ["x", "p", "training"]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if not all(given.get(name, True) for name in ACTIVE):
        return 0.0
    default = 0.5 if _parameters(function) is None else 0.0
    return _number(next((given[name] for name in RATES if name in given), default))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


@functools.cache
def _parameters(function: Callable[..., Any]) -> list[str] | None:
    """The names of a function's parameters, if it is written in Python."""
    own = inspect.unwrap(function)
    return list(inspect.signature(own).parameters) if inspect.isfunction(own) else None


def _replaced_functions(flow: Any, model: Any, wrap: Callable[[Any], Any]) -> contextlib.AbstractContextManager[None]:
    """Every function that drops, replaced by `wrap` of it: OneFlow's own, and those beside the model's classes."""
    homes = {sys.modules[type(part).__module__] for part in model.modules() if type(part).__module__ in sys.modules}
    mine = [home for home in homes if not home.__name__.startswith("oneflow.")]
    changes = []
    for home in (flow._C, flow.nn.functional, *mine):
        for name, value in vars(home).items():
            own = inspect.isfunction(value) and "drop" in name and set(_parameters(value) or ()) & {*RATES}
            theirs = home not in mine and (name in RECURRENT or name.startswith("dropout"))
            if own or (theirs and callable(value) and not isinstance(value, type)):
                changes.append((home, name, wrap(value)))
    return replaced_attributes(*changes)
