"""Long lists, of which `make test` tries some and `make test-all` tries all."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from typing import TypeVar

ALL = "TORCH2FLOW_TEST_ALL"
"""The variable of the environment that `make test-all` sets."""

T = TypeVar("T")


def sample(every: Iterable[T], some: Container[T]) -> list[T]:
    """All of a list where all are to be tried, else those that stand in `some` too."""
    return [each for each in every if ALL in os.environ or each in some]
