"""What a model gives, as its caller sees it: nesting, keys, fields and dtypes, without the values.

Both sides describe what they give, and the two descriptions are compared.

    >>> made = outline({"logits": [1.0, None]}, lambda value: None)
    >>> made
    ['dict', [['logits', ['list', [['float', 1.0], ['None']]]]]]
    >>> first_difference(made, outline({"scores": [1.0, None]}, lambda value: None))
    "the output has the keys 'scores' instead of 'logits'"
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Outline = list[Any]

ABSENT: Outline = ["None"]


def outline(value: Any, dtype_of: Callable[[Any], str | None]) -> Outline:
    """Describes a nested value: a kind, and its parts or the plain value.

    Args:
        value: what a model gave.
        dtype_of: the name of a tensor's dtype, and None for what is no tensor.
    """
    dtype = dtype_of(value)
    if dtype is not None:
        return ["tensor", dtype]
    if value is None:
        return ABSENT
    fields = _fields(value)
    if fields is not None:
        # An optional field that is not there is the same as one that is None.
        parts = [[name, outline(part, dtype_of)] for name, part in fields if part is not None]
        return ["record", parts]
    if isinstance(value, Mapping):
        return ["dict", [[str(key), outline(part, dtype_of)] for key, part in value.items()]]
    if isinstance(value, list | tuple):
        return ["list" if isinstance(value, list) else "tuple", [outline(part, dtype_of) for part in value]]
    if isinstance(value, bool | int | float | str):
        return [type(value).__name__, value if value == value else "nan"]
    return ["object", type(value).__name__]


def _fields(value: Any) -> list[tuple[str, Any]] | None:
    """The named parts of a NamedTuple, a dataclass, or what is a dataclass and a dictionary, as in transformers."""
    if isinstance(value, tuple) and (hasattr(value, "_fields") or hasattr(value, "n_fields")):
        # What `x.max(1)` gives has names too, and no `_fields`.
        names: tuple[str, ...] = value.__match_args__  # type: ignore[attr-defined]
        return [(name, getattr(value, name)) for name in names]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(part.name, getattr(value, part.name, None)) for part in dataclasses.fields(value)]
    return None


def first_difference(expected: Outline, found: Outline, where: str = "the output") -> str:
    """The first place at which two outlines differ, in words; "" where they are alike."""
    return next(_differences(expected, found, where), "")


def _differences(expected: Outline, found: Outline, where: str) -> Iterator[str]:
    kind, mine = expected[0], found[0]
    if kind != mine:
        yield f"{where} is {_article(found)} instead of {_article(expected)}"
    elif kind in ("dict", "record"):
        names, others = ([name for name, _ in side[1]] for side in (expected, found))
        if names != others:
            word = "keys" if kind == "dict" else "fields"
            yield f"{where} has the {word} {_quoted(others)} instead of {_quoted(names)}"
        else:
            for (name, one), (_, other) in zip(expected[1], found[1], strict=True):
                yield from _differences(one, other, f"{where}.{name}" if kind == "record" else f"{where}[{name!r}]")
    elif kind in ("list", "tuple"):
        if len(expected[1]) != len(found[1]):
            yield f"{where} has {len(found[1])} parts instead of {len(expected[1])}"
        for number, (one, other) in enumerate(zip(expected[1], found[1], strict=False)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif expected[1:] != found[1:]:
        yield f"{where} is {_article(found)} instead of {_article(expected)}"


def _article(side: Outline) -> str:
    if side[0] == "tensor":
        return f"a tensor of {side[1]}"
    if side == ABSENT:
        return "None"
    if side[0] in ("int", "float", "bool", "str"):
        return f"the {side[0]} {side[1]!r}"
    return f"an object of {side[1]}" if side[0] == "object" else f"a {side[0]}"


def _quoted(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "of nothing"
