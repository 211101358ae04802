"""What OneFlow 0.9.0 is known to compute less exactly in float64: a row each, with the difference that it explains."""

from __future__ import annotations

import contextlib
import inspect
import sys
from typing import Any, NamedTuple


class Known(NamedTuple):
    """A deviation that is explained.

    Attributes:
        word: what the model's modules or source are searched for, in lower case.
        parts: where it shows, as in `ledger.PARTS`.
        allowed: the relative distance in float64 that it explains.
        text: how it is told.
    """

    word: str
    parts: tuple[str, ...]
    allowed: float
    text: str


TRAINING = ("gradients", "input_gradients", "sgd", "later_buffers")
RUNS = (
    "outputs", "second", "third", "large", "again", "branch", "branch_2", "eval_outputs", "other_mode", "graph",
    "train_outputs", "buffers",
)  # fmt: skip
EVERYWHERE = (*RUNS, "own", "inputs", *TRAINING)

KNOWN = (
    Known(
        "hardsigmoid",
        TRAINING,
        1e-7,
        "known: OneFlow 0.9.0 computes the gradient of hardsigmoid with 1/6 in float32, which is off by 3e-8",
    ),
    Known(
        "leaky",
        EVERYWHERE,
        1e-7,
        "known: OneFlow 0.9.0 keeps the slope of leaky_relu in float32, which is off by up to 6e-8 of it",
    ),
)


MISSING = Known(
    "",
    ("own", "inputs"),
    8 * 2.0**-24,
    "known: PyTorch calls a module here that OneFlow does not, and what it gave was recorded in float32",
)
"""A module of the original that is inlined into another has no call here, so its output is not fed to what follows."""


LITERALS = Known(
    "",
    EVERYWHERE,
    8 * 2.0**-24,
    "known: PyTorch's code makes tensors of numbers, which are float32's, where a port by hand may have the numbers",
)
"""In float64, `x * torch.tensor(0.1)` multiplies by float32's 0.1 and `x * 0.1` by float64's; so with a slope."""


def known_deviations(model: Any) -> list[Known]:
    """The known deviations that concern a model, found by the classes of its modules and by the source of these."""
    words = " ".join(type(part).__name__ for part in model.modules())
    for name in {type(part).__module__ for part in model.modules()}:
        if not name.startswith("oneflow.") and name in sys.modules:
            with contextlib.suppress(OSError, TypeError):  # a model defined at a prompt has no source
                words += inspect.getsource(sys.modules[name])
    for kind in {type(part) for part in model.modules()}:
        codes = [value.__code__ for value in vars(kind).values() if inspect.isfunction(value)]
        words += " ".join(name for code in codes for name in code.co_names)
    return [row for row in KNOWN if row.word in words.lower()]
