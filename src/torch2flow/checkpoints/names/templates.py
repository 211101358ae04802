"""Names that two libraries give the same tensors, by pairs of templates that are read from either side.

    Keys(("features.{2*i+1}.{j}.block.0.{rest}", "stages.{i}.{j}.dwconv.{rest}"))

`{rest}` stands for anything and `{name}` for one part between dots; any other word is a whole number, of which a
multiple can be taken and to which something can be added: `{2*i+1}`. A name that no template matches stays as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch2flow.errors import FormatError, UsageError

Shape = tuple[int, ...]

_FIELD = re.compile(r"\{(?:(\d+)\*)?([a-z]+)(?:\+(\d+))?\}")
_WORDS = {"rest": r".+", "name": r"[^.]+"}


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
            UsageError: two names would become one.
        """
        seen: dict[str, str] = {}
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
        return any(_pattern(template).fullmatch(name) for template in self.flow_only)

    def to_json(self) -> dict[str, Any]:
        """The rules as a manifest keeps them."""
        rules = [[rule.torch, rule.flow] + ([rule.change] if rule.change else []) for rule in self.rules]
        return {"rules": rules, "flow_only": list(self.flow_only)}

    @classmethod
    def from_json(cls, value: Any, where: str) -> Keys:
        """The rules of a manifest.

        Raises:
            FormatError: they are none.
        """
        try:
            keys = cls(*value["rules"], flow_only=value["flow_only"])
            texts = [*(rule.torch for rule in keys.rules), *(rule.flow for rule in keys.rules), *keys.flow_only]
            sound = all(isinstance(text, str) for text in texts) and all(rule.change in CHANGES for rule in keys.rules)
        except (KeyError, TypeError):
            sound = False
        if not sound:
            raise FormatError("The manifest's rules for names can't be read.", where=where)
        return keys


SAME = Keys()
"""The rules of a pair whose names are all equal."""


def translate(name: str, source: str, target: str) -> str | None:
    """Translates a name from one template to the other; None if the name does not match the first."""
    found = _pattern(source).fullmatch(name)
    if found is None:
        return None
    values: dict[str, str | int] = {}
    for number, (factor, word, added) in enumerate(_FIELD.findall(source), 1):
        text = found[number]
        if word in _WORDS:
            values[word] = text
            continue
        value, left = divmod(int(text) - int(added or 0), int(factor or 1))
        if left or value < 0 or values.setdefault(word, value) != value:
            return None
    return _FIELD.sub(lambda field: _filled(field, values), target)


def _filled(field: re.Match[str], values: dict[str, str | int]) -> str:
    factor, word, added = field.groups()
    value = values[word]
    return value if isinstance(value, str) else str(value * int(factor or 1) + int(added or 0))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = _FIELD.split(template)  # text, factor, word, added, text, ...
    texts, words = parts[::4], parts[2::4]
    fields = [f"({_WORDS.get(word, '[0-9]+')})" for word in words]
    return re.compile("".join(re.escape(text) + field for text, field in zip(texts, [*fields, ""], strict=True)))
