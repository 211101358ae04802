"""Patterns of names as a shell has them: `*` for anything, `?` for one character, `{q,k,v}` for one of several."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern stands for a name.

    Example:
        >>> matches("*.{q,k}_proj.weight", "layers.0.k_proj.weight")
        True
    """
    return any(one.fullmatch(name) for one in _compiled(pattern))


@cache
def _compiled(pattern: str) -> list[re.Pattern[str]]:
    return [re.compile(translate(one)) for one in _alternatives(pattern)]


def _alternatives(pattern: str) -> list[str]:
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    return [
        one
        for choice in found[1].split(",")
        for one in _alternatives(pattern[: found.start()] + choice + pattern[found.end() :])
    ]
