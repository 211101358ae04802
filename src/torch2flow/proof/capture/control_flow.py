"""PyTorch's control flow as functions, run as plain Python: outside of an export PyTorch compiles each of them.

A compiler takes no module that is watched, and none of what is computed inside would be seen.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any


def cond(pred, true_fn, false_fn, operands=()):  # type: ignore[no-untyped-def]
    """`torch.cond`."""
    return (true_fn if pred else false_fn)(*operands)


def while_loop(cond_fn, body_fn, carried_inputs):  # type: ignore[no-untyped-def]
    """`torch.while_loop`."""
    while cond_fn(*carried_inputs):
        carried_inputs = body_fn(*carried_inputs)
    return carried_inputs


PLAIN = {"cond": cond, "while_loop": while_loop}


@contextlib.contextmanager
def plain_control_flow(torch: Any) -> Iterator[None]:
    """A context in which these functions, by whatever name they were imported, run as plain Python."""
    undo = []
    for name, plain in PLAIN.items():
        try:
            function = getattr(importlib.import_module(f"torch._higher_order_ops.{name}"), name)
            before = function.__code__, function.__defaults__
        except (ImportError, AttributeError):
            continue  # an older PyTorch
        undo.append((function, before))
        function.__code__, function.__defaults__ = plain.__code__, plain.__defaults__
    try:
        yield
    finally:
        for function, (code, defaults) in undo:
            function.__code__, function.__defaults__ = code, defaults
