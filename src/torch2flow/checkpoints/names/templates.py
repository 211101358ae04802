"""Names that two libraries give the same tensors, by pairs of templates that are read from either side.

    Keys(("features.{2*i+1}.{j}.block.0.{rest}", "stages.{i}.{j}.dwconv.{rest}"))

`{rest}` stands for anything and `{name}` for one part between dots; any other word is a whole number, of which a
multiple can be taken and to which something can be added: `{2*i+1}`. A name that no template matches stays as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypedDict

from torch2flow.errors import FormatError, UsageError
from torch2flow.guards.records import checked

Shape = tuple[int, ...]

_FIELD = re.compile(r"\{(?:([0-9]{1,9})\*)?([a-z]+)(?:\+([0-9]{1,9}))?\}")
_WORDS = {"rest": re.compile(r".+", re.S), "name": re.compile(r"[^.]+")}
_NUMBER = re.compile(r"[0-9]{1,9}(?![0-9])")
_ENDS = {False: re.compile(r"[0-9]"), True: re.compile(r"[^.]")}
"""What may not follow a number, and what may not follow `{name}`: it would be a part of it."""

MOST_STEPS = 10_000_000
"""Rules times names. The largest twin has a hundred rules, and the largest model some thousand names."""


@dataclass(frozen=True, slots=True)
class Change:
    """How the shape of a tensor changes, and back. The elements keep their order."""

    there: Callable[[Shape], Shape]
    back: Callable[[Shape], Shape]


CHANGES: dict[str, Change] = {
    "": Change(lambda shape: shape, lambda shape: shape),
    "leading ones": Change(lambda shape: shape[-1:], lambda shape: (1, 1, *shape)),
    "trailing ones": Change(lambda shape: shape[:1], lambda shape: (*shape, 1, 1)),
    "two ones more": Change(lambda shape: (*shape, 1, 1), lambda shape: shape[:-2]),
    "square": Change(lambda shape: 2 * (math.isqrt(math.prod(shape)),), lambda shape: (math.prod(shape),)),
}
"""Changes from PyTorch's shape: (1, 1, C) to (C), (C, 1, 1) to (C), (A, B) to (A, B, 1, 1), (N * N) to (N, N)."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """One rule: a template for the names of each side, and a row of `CHANGES` for the shape."""

    torch: str
    flow: str
    change: str = ""


class KeyRules(TypedDict):
    """Rules as a manifest keeps them."""

    rules: list[tuple[str, str] | tuple[str, str, str]]
    flow_only: list[str]


class Keys:
    """An ordered list of rules, of which the first that matches counts.

    Args:
        rules: `(torch, flow)` or `(torch, flow, change)`.
        flow_only: templates of names that PyTorch's side has not.

    Example:
        >>> Keys(("mask_head.{i}.0.{rest}", "mask_head.mask_fcn{i+1}.{rest}")).find("mask_head.0.0.weight")
        ('mask_head.mask_fcn1.weight', '')
    """

    def __init__(self, *rules: tuple[str, ...], flow_only: Iterable[str] = ()) -> None:
        self.rules = tuple(KeyRule(*rule) for rule in rules)
        self.flow_only = tuple(flow_only)

    def __bool__(self) -> bool:
        return bool(self.rules or self.flow_only)

    def find(self, name: str, back: bool = False) -> tuple[str, str]:
        """OneFlow's name for one of PyTorch's, and the change of shape; with `back`, the reverse."""
        for rule in self.rules:
            new = translate(name, rule.flow, rule.torch) if back else translate(name, rule.torch, rule.flow)
            if new is not None:
                return new, rule.change
        return name, ""

    def pairs(self, names: Iterable[str], back: bool = False) -> Iterator[tuple[str, str, Change]]:
        """Each name with the other side's name and the change of shape. With `back`, from OneFlow's names to PyTorch's.

        Raises:
            UsageError: two names would become one, or there are too many.
        """
        seen: dict[str, str] = {}
        names = list(names)
        if len(names) * (len(self.rules) + len(self.flow_only)) > MOST_STEPS:
            raise UsageError(f"{len(self.rules)} rules for {len(names)} names are more than any model has.")
        for name in names:
            if back and self.is_flow_only(name):
                continue
            new, change = self.find(name, back)
            if new in seen:
                raise UsageError(f"Two tensors would both become {new}: {seen[new]} and {name}.")
            seen[new] = name
            both = CHANGES[change]
            yield name, new, Change(both.back, both.there) if back else both

    def is_flow_only(self, name: str) -> bool:
        """Whether PyTorch's side has no such tensor."""
        return any(_template(template).match(name) is not None for template in self.flow_only)

    def to_json(self) -> KeyRules:
        """The rules as a manifest keeps them."""
        rules = [
            (rule.torch, rule.flow, rule.change) if rule.change else (rule.torch, rule.flow) for rule in self.rules
        ]
        return {"rules": [*rules], "flow_only": list(self.flow_only)}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Keys:
        """The rules of a manifest.

        Raises:
            FormatError: a template is none, or has a word that the other side's has not.
        """
        try:
            keys = cls(*checked(KeyRules, value, where)["rules"], flow_only=value["flow_only"])
            for rule in keys.rules:
                if _template(rule.torch).words != _template(rule.flow).words or rule.change not in CHANGES:
                    raise ValueError(f"{rule.torch!r} does not become {rule.flow!r}")
            for text in keys.flow_only:
                _template(text)
        except ValueError as error:
            raise FormatError(f"The manifest's rules for names can't be used: {error}"[:500], where=where) from None
        return keys


SAME = Keys()
"""The rules of a pair whose names are all equal."""


class ExactKeys(Keys):
    """Names that were settled one by one.

    Args:
        names: OneFlow's name of each of PyTorch's.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._there = dict(names)
        self._back = {new: old for old, new in names.items()}

    def __bool__(self) -> bool:
        return any(old != new for old, new in self._there.items())

    def find(self, name: str, back: bool = False) -> tuple[str, str]:
        return (self._back if back else self._there).get(name, name), ""


def translate(name: str, source: str, target: str) -> str | None:
    """Translates a name from one template to the other; None if the name does not match the first."""
    values = _template(source).match(name)
    return None if values is None else _template(target).fill(values)


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a template: `{2*i+1}` has a factor, a word, and what is added."""

    factor: int
    word: str
    added: int


class Template:
    """A template, matched from left to right without ever going back: a name costs its length, whatever it is.

    So a field must end where what follows it begins: a number before no digit, `{name}` before a dot, `{rest}` last.

    Args:
        text: as it is written.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, text: str) -> None:
        parts = _FIELD.split(text)  # text, factor, word, added, text, ...
        self.texts = parts[::4]
        columns = zip(parts[1::4], parts[2::4], parts[3::4], strict=True)
        self.fields = [Field(int(factor or 1), word, int(added or 0)) for factor, word, added in columns]
        self.words = {field.word for field in self.fields}
        for at, field in enumerate(self.fields):
            after = self.texts[at + 1]
            last = at + 1 == len(self.fields) and not after
            if not last and (field.word == "rest" or not after or _ENDS[field.word == "name"].match(after)):
                raise ValueError(f"it is not clear where {{{field.word}}} ends in {text!r}")
            if field.factor == 0:
                raise ValueError(f"0 times a number is no number in {text!r}")

    def match(self, name: str) -> dict[str, str | int] | None:
        """What stands for each word in a name; None if the name does not match."""
        if not name.startswith(self.texts[0]):
            return None
        at, values = len(self.texts[0]), dict[str, str | int]()
        for field, after in zip(self.fields, self.texts[1:], strict=True):
            found = _WORDS.get(field.word, _NUMBER).match(name, at)
            if found is None or not name.startswith(after, found.end()):
                return None
            value: str | int = found[0]
            if field.word not in _WORDS:
                value, left = divmod(int(value) - field.added, field.factor)
                if left or value < 0:
                    return None
            if values.setdefault(field.word, value) != value:
                return None
            at = found.end() + len(after)
        return values if at == len(name) else None

    def fill(self, values: dict[str, str | int]) -> str:
        """The name that has these in place of the words."""
        name = self.texts[0]
        for field, after in zip(self.fields, self.texts[1:], strict=True):
            value = values[field.word]
            name += (value if isinstance(value, str) else str(value * field.factor + field.added)) + after
        return name


_template = cache(Template)
