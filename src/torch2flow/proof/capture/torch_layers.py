"""Layers of PyTorch's own that would fix a size or read a value while they are exported, and need not.

PyTorch unrolls `lstm`, `gru` and `rnn` over time to find the shapes of their results, and so fixes the number of steps,
though the program holds one call: the shapes follow from those of the inputs. A `TransformerEncoder` or decoder looks
whether the mask that it is given is the causal one, which is only a hint for a faster kernel. A dropout in eval mode
gives the very tensor that it is given, and a program then has all that reads the one read the other: of alpha dropout,
and from 2.14 on of any. Functions that draw numbers take no dynamic sizes where they are given a generator, be it None.
Fake quantisation by a scale that is a tensor can't be exported at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch2flow.models.program.train_mode import DROPOUT
from torch2flow.proof.capture.fake_quantisation import quantised_by_formula
from torch2flow.proof.capture.runtime import version_of
from torch2flow.proof.random_calls import RECURRENT
from torch2flow.runtime.replaced_attributes import replaced_attributes

_DETECTS_MASK = "_detect_is_causal_mask"

_DRAWN = ("rand", "randn", "randint", "randperm", "normal")


@contextlib.contextmanager
def exportable_layers(torch: Any) -> Iterator[None]:
    """While a model is exported, no layer of PyTorch's own fixes a size or reads a value that it can do without."""
    with contextlib.ExitStack() as changes:
        for change in (_free_steps, _masks_as_given, _dropout_apart, quantised_by_formula, _without_generators):
            changes.enter_context(change(torch))
        yield


@contextlib.contextmanager
def _free_steps(torch: Any) -> Iterator[None]:
    """Recurrent operators give their results' shapes and compute nothing.

    A PyTorch whose operators are built in another way (their Python kernels are no public interface) exports as before.
    """
    kernels = {}
    for name in RECURRENT:
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


def _masks_as_given(torch: Any) -> contextlib.AbstractContextManager[None]:
    """Transformers take a mask as what it is, and not as a hint, unless they are told that it is causal."""
    transformer = torch.nn.modules.transformer
    if not hasattr(transformer, _DETECTS_MASK):
        return contextlib.nullcontext()
    as_given = lambda mask, is_causal=None, size=None: is_causal is True  # noqa: E731
    return replaced_attributes((transformer, _DETECTS_MASK, as_given))


def _dropout_apart(torch: Any) -> contextlib.AbstractContextManager[None]:
    """What a dropout in eval mode gives is another tensor than what it is given: it gets an alias of that.

    Else `y = drop(x); z = f(x)` would be `z = f(y)` in the program, which is another model in train mode. The reader of
    a capture leaves the aliases out.
    """
    if version_of(torch) < (2, 5):  # whose tracer reads Python's bytecode
        return contextlib.nullcontext()
    names = [each.removeprefix("aten.") for each in DROPOUT]
    homes = (torch._VF, torch)  # the functions of torch.nn.functional call the first

    def apart(function: Any) -> Any:
        def dropout(input: Any, p: float, train: bool) -> Any:
            return function(input if train else torch.ops.aten.alias.default(input), p, train)

        return dropout

    return replaced_attributes(
        *((home, name, apart(getattr(home, name))) for home in homes for name in names if hasattr(home, name))
    )


def _without_generators(torch: Any) -> contextlib.AbstractContextManager[None]:
    """`torch.randn(shape, generator=None)` is `torch.randn(shape)`, whose operator takes free sizes."""

    def plain(function: Any) -> Any:
        def drawn(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **{name: each for name, each in kwargs.items() if name != "generator" or each})

        return drawn

    return replaced_attributes(*((torch, name, plain(getattr(torch, name))) for name in _DRAWN))
