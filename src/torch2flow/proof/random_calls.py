"""What is random in a model, on either side: each call of a random function, and by which module's code.

The numbers that two libraries draw can't be compared. What is compared is which module drops, and at which rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple


class RandomCall(NamedTuple):
    """A call of a random function.

    Attributes:
        path: of the module whose code called it; "" is the model itself.
        kind: "dropout", or the function's name.
        rate: of a dropout; 0 of one that is told not to drop.
        function: PyTorch's name of the function that drops.
        read: whether what the model gives depends on it; an exported program has no call whose result nobody reads.
    """

    path: str
    kind: str
    rate: float
    function: str = ""
    read: bool = True


RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Functions of both libraries that drop between the layers of a recurrent network."""


def recurrent_rate(args: tuple[Any, ...]) -> tuple[int, float]:
    """Where a recurrent function gets its rate, and the rate; 0 where it drops nothing.

    Both libraries take `(input, hx, weights, has_biases, num_layers, dropout, train, ...)`, or the same one place later
    with sizes of batches.
    """
    at = next((place for place, value in enumerate(args) if isinstance(value, float)), 0)
    active = at > 0 and bool(args[at + 1]) and args[at - 1] > 1
    return at, args[at] if active else 0.0


def rates(calls: Iterable[RandomCall], modules: Collection[str]) -> dict[str, Counter[float]]:
    """The rates of all dropouts by the path of the innermost of these modules that calls them.

    A module that only one side has is no reason to call two models different: its dropout counts as that of the
    module around it.
    """
    found: dict[str, Counter[float]] = {}
    for call in calls:
        if call.kind == "dropout" and call.rate:
            path = next(each for each in _outwards(call.path) if not each or each in modules)
            found.setdefault(path, Counter())[round(call.rate, 6)] += 1
    return found


def _outwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""
