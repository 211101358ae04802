"""Patterns of names as a shell has them: `*` for anything, `?` for one character, `{q,k,v}` for one of several."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache

from torch2flow.errors import UsageError

MOST_CHOICES = 1000
MOST_CHARACTERS = 100_000
MOST_STARS = 20
"""Braces multiply what one pattern stands for, and each star costs a look at the rest of the name."""


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern stands for a name.

    Raises:
        UsageError: it is no pattern, or stands for more than a thousand others.

    Example:
        >>> matches("*.{q,k}_proj.weight", "layers.0.k_proj.weight")
        True
    """
    return any(one.fullmatch(name) for one in _compiled(pattern))


@cache
def _compiled(pattern: str) -> list[re.Pattern[str]]:
    try:
        return [re.compile(translate(one)) for one in _alternatives(pattern)]
    except (re.error, RecursionError) as error:
        raise UsageError(f"{pattern[:100]!r} is no pattern: {error}.", remedy="write [[] for a bracket") from None


def _alternatives(pattern: str) -> list[str]:
    waiting, found = [pattern], list[str]()
    while waiting:
        one = waiting.pop()
        braces = re.search(r"\{([^{}]*)\}", one)
        if braces is None:
            found.append(one)
        else:
            choices = braces[1].split(",")
            waiting += [one[: braces.start()] + choice + one[braces.end() :] for choice in reversed(choices)]
        count = len(waiting) + len(found)
        if count > MOST_CHOICES or count * len(pattern) > MOST_CHARACTERS or one.count("*") > MOST_STARS:
            raise UsageError(
                f"The pattern {pattern[:100]!r} stands for more than {MOST_CHOICES} others, is too long, or has more"
                f" than {MOST_STARS} stars.",
                remedy="use * in place of braces, or several patterns",
            )
    return found
