"""PyTorch's control flow as functions, run as plain Python: outside of an export PyTorch compiles each of them.

A compiler takes no module that is watched, and none of what is computed inside would be seen.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

DECISIONS: dict[Any, set[bool]] = {}
"""The outcomes of each `torch.cond` so far, by the code of its first function."""


_everything = False
"""Whether the branch that is not taken is run too, before the other."""


def decided(test: Any, one: Any, other: Any, operands: Any) -> Any:
    """What the branch of a decision gives; its outcome is noted."""
    outcome = bool(test)
    DECISIONS.setdefault(getattr(one, "__code__", type(one)), set()).add(outcome)
    taken, left = (one, other) if outcome else (other, one)
    if _everything:
        with contextlib.suppress(Exception):  # it may not take such values
            left(*operands)
    return taken(*operands)


# The functions below run in the modules of those they stand for: what they need, they import.


def cond(pred, true_fn, false_fn, operands=()):  # type: ignore[no-untyped-def]
    """`torch.cond`."""
    from torch2flow.proof.capture.control_flow import decided

    return decided(pred, true_fn, false_fn, operands)


def while_loop(cond_fn, body_fn, carried_inputs):  # type: ignore[no-untyped-def]
    """`torch.while_loop`."""
    while cond_fn(*carried_inputs):
        carried_inputs = body_fn(*carried_inputs)
    return carried_inputs


def mapped(f, xs, *args):  # type: ignore[no-untyped-def]
    """`map`."""
    from torch2flow.proof.capture.control_flow import rounds, stacked

    return stacked([f(row, *args) for row in rounds(xs, 0)], 0)


def scan(combine_fn, init, xs, *, dim=0, reverse=False):  # type: ignore[no-untyped-def]
    """`scan`."""
    from torch2flow.proof.capture.control_flow import rounds, stacked

    results = []
    for row in rounds(xs, dim, reverse):
        init, result = combine_fn(init, row)
        results.append(result)
    return init, stacked(results, dim, reverse)


def associative_scan(combine_fn, xs, dim, reverse=False, combine_mode="pointwise"):  # type: ignore[no-untyped-def]
    """`associative_scan`."""
    from torch2flow.proof.capture.control_flow import rounds, stacked

    results: list[Any] = []
    for row in rounds(xs, dim, reverse):
        results.append(combine_fn(results[-1], row) if results else row)
    return stacked(results, dim, reverse)


def rounds(over: Any, dim: int, reverse: bool = False) -> list[Any]:
    """The slices of each tensor of a nested value, nested alike, in the order of the rounds."""
    tree = importlib.import_module("torch.utils._pytree")
    leaves, form = tree.tree_flatten(over)
    found = [tree.tree_unflatten(row, form) for row in zip(*(leaf.unbind(dim) for leaf in leaves), strict=True)]
    return found[::-1] if reverse else found


def stacked(results: list[Any], dim: int, reverse: bool = False) -> Any:
    """The results of all rounds in one tensor each."""
    torch = importlib.import_module("torch")
    ordered = results[::-1] if reverse else results

    def stack(*rows: Any) -> Any:
        return torch.stack(rows, dim if dim <= rows[0].ndim else 0)

    return torch.utils._pytree.tree_map(stack, *ordered) if ordered else []


PLAIN = {
    "cond": cond,
    "while_loop": while_loop,
    "map": mapped,
    "scan": scan,
    "associative_scan": associative_scan,
}
_PARTS = ("__code__", "__defaults__", "__kwdefaults__")


@contextlib.contextmanager
def plain_control_flow(torch: Any, *, everything: bool = False) -> Iterator[None]:
    """A context in which these functions, by whatever name they were imported, run as plain Python.

    Args:
        torch: the module `torch`.
        everything: run the branch that is not taken too, for what it calls.
    """
    global _everything
    undo, before_it = [], _everything
    _everything = everything
    for name, plain in PLAIN.items():
        try:
            function = getattr(importlib.import_module(f"torch._higher_order_ops.{name}"), name)
            undo.append((function, [getattr(function, part) for part in _PARTS]))
        except (ImportError, AttributeError):
            continue  # an older PyTorch
        for part in _PARTS:
            setattr(function, part, getattr(plain, part))
    try:
        yield
    finally:
        _everything = before_it
        for function, before in undo:
            for part, value in zip(_PARTS, before, strict=True):
                setattr(function, part, value)
