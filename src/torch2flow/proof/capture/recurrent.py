"""Recurrent layers keep the number of their steps free.

PyTorch unrolls `lstm`, `gru` and `rnn` over time to find the shapes of their results while it exports, and so fixes the
number of steps, though the program holds one call. The shapes follow from those of the inputs alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_OPERATORS = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@contextlib.contextmanager
def free_steps(torch: Any) -> Iterator[None]:
    """While a model is exported, recurrent operators give their results' shapes and compute nothing.

    A PyTorch whose operators are built in another way (their Python kernels are no public interface) exports as before.
    """
    kernels = {}
    for name in _OPERATORS:
        operator = getattr(torch.ops.aten, name).input
        if hasattr(operator, "py_kernels") and hasattr(operator, "_dispatch_cache"):
            kernels[operator] = dict(operator.py_kernels)
    try:
        for operator, before in kernels.items():
            operator.py_kernels.update(dict.fromkeys(before, _results))
            operator._dispatch_cache.clear()
        yield
    finally:
        for operator, before in kernels.items():
            operator.py_kernels.update(before)
            operator._dispatch_cache.clear()


def _results(input: Any, hx: Any, params: Any, *options: Any) -> tuple[Any, ...]:
    """The output [..., steps, directions * hidden] and the last states, whose shapes are those of the first."""
    *_, bidirectional, _batch_first = options
    states = hx if isinstance(hx, list | tuple) else (hx,)
    width = states[0].shape[-1] * (2 if bidirectional else 1)
    return input.new_empty((*input.shape[:-1], width)), *(state.new_empty(state.shape) for state in states)
