"""Kinds of values that options and arguments take, beside click's own: each refuses what no command can work with."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

from torch2flow.errors import UsageError

MOST_BYTES = 4096
"""PATH_MAX of Linux: no call takes a longer path."""

MOST_FOLDERS = 250
"""Making folders inside one another recurses."""


class PathType(click.ParamType):  # type: ignore[type-arg]  # older ones of click have none
    """A path that the system could have."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        text = os.fspath(value)
        if not text:
            self.fail("an empty text is no path.", param, ctx)
        if len(os.fsencode(text)) >= MOST_BYTES or text.count("/") > MOST_FOLDERS:
            self.fail(f"{text[:60]!r}... is longer or deeper than any path.", param, ctx)
        return Path(text)


class PositiveType(click.ParamType):  # type: ignore[type-arg]
    """A number above 0 that is finite."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value!r} is no number above 0.", param, ctx)
        return number


def check_arguments(arguments: list[str]) -> None:
    """Refuses what no shell hands over, and the system takes in no call.

    Raises:
        UsageError: an argument has a zero byte, or a character that can't be spelled.
    """
    for text in arguments:
        try:
            sound = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            sound = False
        if not sound:
            raise UsageError(f"The argument {text[:60]!r} has a character that no system takes.")


PATH = PathType()
POSITIVE = PositiveType()
PORT = click.IntRange(1, 65535)
SEED = click.IntRange(0, (1 << 63) - 1)
"""What the generators of NumPy, PyTorch and OneFlow all take."""

RANKS = click.IntRange(1, 1 << 16)
"""More ranks than any job has; a plan for ten million would take all memory before it is refused."""
