"""Finds the tests that start a process: by themselves, through their fixtures, or through helpers of the tests."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent.parent

STARTERS = {"subprocess", "multiprocessing", "fork", "webdriver"}
"""Names that code mentions which starts a process; a browser is one too."""

_known: dict[CodeType, bool] = {}


def starts_a_process(item: pytest.Item) -> bool:
    """Whether the code of a test, or of a fixture that it uses, starts a process."""
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    fixtures = [definition.func for found in definitions.values() for definition in found]
    return any(_starts(function) for function in (getattr(item, "function", None), *fixtures))


def _starts(function: Any) -> bool:
    function = inspect.unwrap(function) if callable(function) else function
    code = getattr(function, "__code__", None)
    if code is None or not Path(code.co_filename).is_relative_to(TESTS):
        return False
    if code not in _known:
        _known[code] = False  # a function that calls itself
        names = set(_names(code))
        mentioned = [function.__globals__[name] for name in names if name in function.__globals__]
        _known[code] = bool(names & STARTERS) or any(map(_is_starter, mentioned))
    return _known[code]


def _names(code: CodeType) -> Iterator[str]:
    """The names in a function and in those that are defined inside it; also a module that is imported by a string."""
    yield from code.co_names
    yield from code.co_varnames
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str):
            yield constant.rpartition(".")[2]


def _is_starter(value: Any) -> bool:
    """Whether a helper of the tests starts a process, or one of the methods of a class of theirs."""
    if inspect.isclass(value):
        return any(_starts(member) for member in vars(value).values() if inspect.isfunction(member))
    return inspect.isfunction(value) and _starts(value)
