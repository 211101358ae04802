"""The registry of operator rules: which OneFlow function stands for an ATen operator.

A rule is a plain OneFlow function with the ATen operator's own argument names and defaults:

    @operator("aten.rsub", promotes=("self", "other"))
    def rsub(self, other, alpha=1):
        return other - alpha * self

`aten.rsub` serves all overloads; `aten.rsub.Scalar` would serve that one alone, and comes first. A rule that only
renames is a row of `renames.py`. In-place operators (`aten.add_`) never get here: `program/functional.py` has made
them `aten.add`. How a rule becomes source: `codegen/recording.py`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

RuleFunction = TypeVar("RuleFunction", bound=Callable[..., Any])

FACTS = ("in_shape", "in_ndim", "in_dtype", "out_shape", "out_ndim", "out_dtype", "name")
"""What a rule may ask for by keyword-only parameters: recorded of the first tensor argument, and of the result; and the
operator's own name, such as `max_pool2d`, where one rule serves several."""

IGNORED = ("layout", "device", "pin_memory", "memory_format", "non_blocking", "generator")
"""Arguments that change no value of the result here; a rule need not take them."""


class RefusedError(Exception):
    """A rule can't do a case, in words."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One operator rule.

    Attributes:
        target: `aten.rsub`, or with an overload.
        function: the OneFlow function, with ATen's signature.
        promotes: the tensor arguments brought to their common dtype first, as PyTorch does and OneFlow does not.
        floats: whether that dtype, where it is of integers or bool, becomes PyTorch's default, float32: `exp`, `/`.
        restriction: what the rule can't do, for people.
    """

    target: str
    function: Callable[..., Any]
    promotes: tuple[str, ...] = ()
    restriction: str = ""
    floats: bool = False

    @property
    def place(self) -> str:
        """Where it is written: `arithmetic.py:12`."""
        code = inspect.unwrap(self.function).__code__
        return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"

    @property
    def is_ours(self) -> bool:
        """Whether the rule came with torch2flow."""
        return self.function.__module__.startswith("torch2flow.")

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


RULES: dict[str, Rule] = {}


def operator(
    *targets: str, promotes: tuple[str, ...] = (), restriction: str = "", floats: bool = False
) -> Callable[[RuleFunction], RuleFunction]:
    """Registers a rule for one or more operators. A user's rule takes the place of ours.

    Raises:
        ValueError: there are two rules of ours, or of one user's file, for an operator.

    Example:
        >>> @operator("mylib.scale_shift")
        ... def scale_shift(x, scale, shift=0.0):
        ...     return x * scale + shift
        >>> find("mylib.scale_shift.default").place.startswith("<doctest")
        True
    """

    def register(function: RuleFunction) -> RuleFunction:
        for target in targets:
            rule, before = Rule(target, function, promotes, restriction, floats), RULES.get(target)
            if before is not None and before.is_ours == rule.is_ours and not _is_newer(rule, before):
                raise ValueError(f"{target} has a rule already, at {before.place}; {rule.place} gives it another")
            RULES[target] = rule
        return function

    return register


def _is_newer(rule: Rule, before: Rule) -> bool:
    """Whether a file of rules was run again."""
    old, new = inspect.unwrap(before.function), inspect.unwrap(rule.function)
    return old.__module__ == new.__module__ and old.__globals__ is not new.__globals__


def find(target: str) -> Rule | None:
    """The rule for `aten.add.Tensor`: its own, or that of `aten.add`."""
    return RULES.get(target) or RULES.get(target.rpartition(".")[0])


def closest(target: str) -> str:
    """The known operator whose name is most like this one; "" where none is."""
    names = difflib.get_close_matches(target.rpartition(".")[0], [rule.partition(".default")[0] for rule in RULES], 1)
    return names[0] if names else ""
