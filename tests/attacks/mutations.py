"""Every way in which a person, or a program that was written in a hurry, may spoil a JSON value by hand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

DEEP: Any = []
for _ in range(50):
    DEEP = [DEEP]

WRONG: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 1.5, 1e308, float("nan"), float("inf"), 1 << 62, 1 << 70, -(1 << 70)),
    *(
        "",
        "x",
        ".",
        "..",
        "/",
        "\0",
        "\ud800",
        "0",
        "(a+)+$",
        "{rest}" * 9,
        "{i}{i}",
        "{0*i}.x",
        "{i+99999999999}",
        "a." * 3000,
    ),
    *([], {}, [[]], [None], [1, 2, 3], ["x"], [["(a+)+$", "x"]], [["{rest}", "{name}"]], {"a": 1}, {"": {}}, DEEP),
    *(["x"] * 2000, {str(n): n for n in range(2000)}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside another; of long lists, the first three."""
    members = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, item in members:
        yield (*path, key)
        yield from places(item, (*path, key))


def mutations(value: Any) -> Iterator[tuple[str, Any]]:
    """Each value replaced by each wrong one, left out, given twice, or with something more inside."""
    for path in places(value):
        for number in range(len(WRONG)):
            yield f"{path} := {WRONG[number]!r}"[:200], _changed(value, path, number)
        for number, what in ((-1, "left out"), (-2, "twice"), (-3, "something more")):
            yield f"{path} {what}", _changed(value, path, number)


def _changed(value: Any, path: tuple[Any, ...], number: int) -> Any:
    copied = copy.deepcopy(value)
    inside = copied
    for key in path[:-1]:
        inside = inside[key]
    last = path[-1]
    if number >= 0:
        inside[last] = copy.deepcopy(WRONG[number])
    elif number == -1:
        del inside[last]
    elif number == -2 and isinstance(inside, list):
        inside.append(copy.deepcopy(inside[last]))
    elif number == -2:
        inside[f"{last} "] = inside[last]
    elif isinstance(inside[last], list):
        inside[last] += ["more", None, 3]
    elif isinstance(inside[last], dict):
        inside[last]["more"] = [None]
    else:
        inside[last] = [inside[last]]
    return copied
