"""Kinds of values that options and arguments take, beside click's own: each refuses what no command can work with."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click


class PathType(click.ParamType):  # type: ignore[type-arg]  # older ones of click have none
    """A path that the system could have: not empty, without a zero byte, and of characters that it can spell."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        text = os.fspath(value)
        try:
            sound = bool(text) and b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            sound = False
        if not sound:
            self.fail(f"{text!r} is no path.", param, ctx)
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


PATH = PathType()
POSITIVE = PositiveType()
PORT = click.IntRange(1, 65535)
SEED = click.IntRange(0, (1 << 63) - 1)
"""What the generators of NumPy, PyTorch and OneFlow all take."""

RANKS = click.IntRange(1, 1 << 16)
"""More ranks than any job has; a plan for ten million would take all memory before it is refused."""
