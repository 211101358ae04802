"""Switches off dropout in a model of PyTorch or OneFlow: results with random numbers can't be compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch2flow.runtime.replaced_attributes import replaced_attributes

DROPPING = ("drop", "stochasticdepth")
"""Parts of names (in lower case) of attributes that hold the probability to leave something out."""


@contextlib.contextmanager
def dropout_off(module: Any, *, everything: bool = True) -> Iterator[list[str]]:
    """Sets every dropout probability to 0 for a while; yields the names of the attributes.

    Args:
        module: of PyTorch or OneFlow.
        everything: also those of an author's own classes and configurations, not of classes of dropout alone.
    """
    changed: dict[tuple[int, str], tuple[Any, str, float]] = {}
    for part in module.modules():
        for holder in (part, getattr(part, "config", None)):
            kind = type(holder).__name__.lower()
            for name, value in getattr(holder, "__dict__", {}).items():
                subject = f"{kind}.{name}" if name == "p" else name.lower()
                dropping = any(word in subject for word in DROPPING)
                dropping = dropping if everything else "dropout" in kind and name == "p"
                if isinstance(value, float) and value > 0 and dropping:
                    changed[id(holder), name] = holder, name, 0.0
    with replaced_attributes(*changed.values()):
        yield sorted({f"{type(holder).__name__}.{name}" for holder, name, _ in changed.values()})
