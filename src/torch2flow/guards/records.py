"""The one reader of values that may have been written by hand: what they must be is said by types, and is checked here.

    class Row(TypedDict):
        name: str
        shape: list[Count]

    rows = checked(list[Row], json.loads(text), "manifest.json")
    # manifest.json: [3].shape[0] should be a whole number from 0 on, and is "x".

A `TypedDict` names the fields that are read. Those without which nothing can be done are in a class of their own, from
which one with `total=False` inherits. Fields that are not named are let through, and not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from torch2flow.errors import FormatError

T = TypeVar("T")
Check = Callable[[Any], None]

LARGEST = 1 << 62
"""No size, offset or number of ours is larger."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a value must be beside its type.

    Attributes:
        holds: whether it is.
        words: the same in words, such as "a whole number from 0 on".
    """

    holds: Callable[[Any], bool]
    words: str


Count = Annotated[int, Demand(lambda n: 0 <= n < LARGEST, "a whole number from 0 on")]
Name = Annotated[str, Demand(lambda text: len(text) <= 1 << 16, "a text of at most 65536 characters")]

_PLAIN = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    dict: "an object",
    list: "a list",
}


class _Wrong(Exception):
    """A value is not what it must be. Each level on the way out adds its step to the path."""

    def __init__(self, words: str, value: Any) -> None:
        self.words, self.value = words, value
        self.path: list[str] = []


def checked(kind: type[T], value: Any, where: str, what: str = "") -> T:
    """The same value, now known to be of a type.

    Args:
        kind: a `TypedDict`, or what can stand in one: plain types, lists, dictionaries with names, unions, literals,
            tuples of a fixed length, and `Annotated` with a `Demand`.
        value: as `parse_json` or `tomllib` gives it.
        where: it is from, for errors.
        what: the field of the file that holds it, where it is not the whole.

    Raises:
        FormatError: it is something else; the error says which field.
    """
    try:
        _check(kind)(value)  # type: ignore[arg-type]
    except _Wrong as wrong:
        path = (what + "".join(reversed(wrong.path))).lstrip(".") or "the whole"
        raise FormatError(
            f"{path[:300]} should be {wrong.words}, and is {_brief(wrong.value)}.",
            where=where,
            maybe="the file was edited by hand, is damaged, or is of another version",
        ) from None
    return value  # type: ignore[no-any-return]


@cache
def _check(kind: Any) -> Check:
    """A function that raises `_Wrong` for what is not of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: None
    if origin is Annotated:
        return reduce(_demanding, arguments[1:], _check(arguments[0]))
    if origin in (Union, UnionType):
        return _either(kind, arguments)
    if origin is Literal:
        return _demanding(lambda value: None, Demand(lambda v: v in arguments and type(v) is not bool, _words(kind)))
    if origin is list:
        return _list(_check(arguments[0]))
    if origin is tuple:
        return _tuple([_check(each) for each in arguments])
    if origin is dict:
        return _table(_check(arguments[1]))
    if is_typeddict(kind):
        return _record(kind)
    return _plain(kind)


def _plain(kind: type) -> Check:
    kinds = (int, float) if kind is float else (kind,)

    def check(value: Any) -> None:
        if type(value) not in kinds:
            raise _Wrong(_PLAIN[kind], value)

    return check


def _demanding(check: Check, demand: Demand) -> Check:
    def both(value: Any) -> None:
        check(value)
        if not demand.holds(value):
            raise _Wrong(demand.words, value)

    return both


def _either(kind: Any, kinds: tuple[Any, ...]) -> Check:
    checks = [_check(each) for each in kinds]

    def check(value: Any) -> None:
        furthest: _Wrong | None = None
        for one in checks:
            try:
                return one(value)
            except _Wrong as wrong:
                if furthest is None or len(wrong.path) > len(furthest.path):
                    furthest = wrong
        raise furthest if furthest is not None and furthest.path else _Wrong(_words(kind), value)

    return check


def _list(check: Check) -> Check:
    def each(value: Any) -> None:
        _of_kind(list, value)
        number = 0
        try:
            for number, item in enumerate(value):  # noqa: B007 - where it went wrong
                check(item)
        except _Wrong as wrong:
            wrong.path.append(f"[{number}]")
            raise

    return each


def _tuple(checks: list[Check]) -> Check:
    def each(value: Any) -> None:
        if type(value) not in (list, tuple) or len(value) != len(checks):
            raise _Wrong(f"a list of {len(checks)}", value)
        for number, (check, item) in enumerate(zip(checks, value, strict=True)):
            _inside(check, item, f"[{number}]")

    return each


def _table(check: Check) -> Check:
    def each(value: Any) -> None:
        _of_kind(dict, value)
        name: Any = ""
        try:
            for name, item in value.items():  # noqa: B007 - where it went wrong
                check(item)
        except _Wrong as wrong:
            wrong.path.append(f"[{name!r}]")
            raise

    return each


def _record(kind: Any) -> Check:
    fields = [(name, _check(hint)) for name, hint in get_type_hints(kind, include_extras=True).items()]
    needed: frozenset[str] = kind.__required_keys__

    def each(value: Any) -> None:
        _of_kind(dict, value)
        for name, check in fields:
            if name in value:
                _inside(check, value[name], f".{name}")
            elif name in needed:
                raise _Wrong(f"an object with a field {name!r}", value)

    return each


def _inside(check: Check, value: Any, step: str) -> None:
    try:
        check(value)
    except _Wrong as wrong:
        wrong.path.append(step)
        raise


def _of_kind(kind: type, value: Any) -> None:
    if not isinstance(value, kind):
        raise _Wrong(_PLAIN[kind], value)


def _words(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return str(arguments[-1].words)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_words, arguments)))
    return _PLAIN[dict if is_typeddict(kind) else list if origin is tuple else kind if origin is None else origin]


def _brief(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return f"{_PLAIN[dict if isinstance(value, dict) else list]} of {len(value)}"
    text = "null" if value is None else repr(value) if isinstance(value, str | float) else str(value)[:60].lower()
    return text if len(text) <= 60 else f"{text[:57]}..."
