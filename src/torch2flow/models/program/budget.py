"""What a program may cost, paid where it is read, and the one guard around what a malformed program raises.

Each limit is far above what a model of today needs, and keeps time and memory linear in the size of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch2flow.errors import FormatError, Torch2FlowError, UnsupportedError

MOST_VALUES = 8_000_000
"""Objects, lists and members in the JSON of a program: some 500 MiB as Python objects."""
DEEPEST = 64
"""Parts of a module's path, module calls around an operator, trees in trees, programs in programs."""
LONGEST_NAME = 1000
LONGEST_TEXT = 500
"""A constant that is a text, and a line of the author's code: as much as one can see."""
LONGEST_TRACE = 1 << 17
LONGEST_LIST = 4096
MOST_NUMBERS = 1024
"""Numbers in one argument of an operator."""
HIGHEST_RANK = 64
"""Dimensions of a tensor, as in PyTorch."""
ITEMS, ITEMS_A_NODE = 20_000, 20
"""Numbers in all arguments: so many, and so many more for each operator."""
LARGEST = 1 << 64
LIVE = 2_000_000
"""Values that have a name, summed over the statements of a model: the memory that writing it takes."""

MALFORMED = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, StopIteration,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What Python raises where a program is not as this code expects it; RecursionError is a RuntimeError."""


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Tells of a program that can't be read in one sentence.

    Args:
        where: the file, the operator or the field; the innermost of several is told.

    Raises:
        FormatError: what is inside raised something that a malformed program raises.
    """
    try:
        yield
    except MALFORMED as error:
        raise FormatError(
            f"The program can't be read: {_named(error)}.",
            where=where,
            maybe="the file is damaged, or was written by a PyTorch newer than torch2flow",
        ) from error


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Tells of a program for which no source can be written in one sentence.

    Args:
        where: the file or the operator; the innermost of several is told.

    Raises:
        UnsupportedError: what is inside raised something that a malformed program raises.
    """
    try:
        yield
    except MALFORMED as error:
        raise UnsupportedError(
            f"The model's source could not be written: {_named(error)}.",
            where=where,
            maybe="the program is damaged, or does something torch2flow has not met: then please report it",
            remedy="add --weights-only for the checkpoint alone",
        ) from error


def _named(error: BaseException) -> str:
    text = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return f"{type(error).__name__}: {text[:200]}"


def too_large(what: str, limit: int, where: str = "") -> Torch2FlowError:
    """The error for a program that asks for more than any model needs."""
    return FormatError(
        f"The program can't be used: {what}, and at most {limit:,} are read.",
        where=where,
        maybe="the file is damaged or hostile: no model that PyTorch exports needs so many",
    )


class Budget:
    """Counts what is read of one program.

    Attributes:
        where: what is being read, for errors.
        items: the numbers in arguments so far.
        nodes: the operators so far.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.items = self.nodes = 0

    def check(self, count: int, limit: int, what: str) -> None:
        """Refuses a count above its limit.

        Raises:
            FormatError: it is.
        """
        if count > limit:
            raise too_large(f"{what}: {count:,}", limit, self.where)

    def name(self, text: Any) -> str:
        """A name of a value or a path of a module."""
        if not isinstance(text, str):
            raise TypeError(f"{str(text)[:50]!r} is no name")
        self.check(len(text), LONGEST_NAME, f"letters in the name {text[:30]!r}...")
        return text

    def path(self, text: Any) -> str:
        """The path of a module or of what it holds."""
        self.check(self.name(text).count(".") + 1, DEEPEST, f"parts in the path {text[:30]!r}...")
        return str(text)

    def text(self, text: Any) -> str:
        """A text that is an argument."""
        if not isinstance(text, str):
            raise TypeError(f"{str(text)[:50]!r} is no text")
        self.check(len(text), LONGEST_TEXT, f"letters in the text {text[:30]!r}...")
        return text

    def number(self, value: Any) -> Any:
        """A number that is an argument or a size."""
        if not isinstance(value, bool | int | float):
            raise TypeError(f"{str(value)[:50]!r} is no number")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise too_large("a number has too many digits, which is above 2**64", LARGEST, self.where)
        return value

    def numbers(self, values: Any, most: int = MOST_NUMBERS) -> list[Any]:
        """A list that is an argument."""
        if not isinstance(values, list):
            raise TypeError(f"{str(values)[:50]!r} is no list")
        self.check(len(values), most, "items in one list")
        self.items += len(values)
        self.check(self.items, ITEMS + ITEMS_A_NODE * self.nodes, "items in all lists")
        return values
