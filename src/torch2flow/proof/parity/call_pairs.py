"""Which call of a module is which recorded one, where the two sides call it a different number of times.

A call whose result nobody reads is no call in an exported program, and a port by hand may have one more. The n-th call
here is then not the n-th there: calls are paired in their order by what they get and give, and what has no counterpart
is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torch2flow.proof.parity.reference import RecordedCall, Reference
from torch2flow.proof.sample import sample

Array = np.ndarray[Any, Any]

AGREE = 0.05
"""How far what two calls get or give may be apart, relative to the largest value, for them to be the same call."""


@dataclass
class Traces:
    """Some elements of what each call gets and gives, which tell one call of a module from another.

    Attributes:
        of: by the path of the module, a row for each call in their order: its name, what it got, what it gave.
    """

    of: dict[str, list[tuple[str, list[Array], list[Array]]]] = field(default_factory=dict)

    def note(self, path: str, name: str, got: list[Array], given: list[Array]) -> None:
        """Notes a call that has ended, with the traces of what it got and gave."""
        self.of.setdefault(path, []).append((name, got, given))

    def pairs(self, reference: Reference) -> dict[str, str]:
        """The recorded call of each call of a module that is called more often on one side; "" for none."""
        recorded: dict[str, list[RecordedCall]] = {}
        for row in reference.calls.values():
            recorded.setdefault(row.path, []).append(row)
        pairs: dict[str, str] = {}
        for path, rows in recorded.items():
            found = self.of.get(path, [])
            if found and len(found) != len(rows):
                theirs = [
                    [[trace(reference.array(name)) for name in names] for names in (row.inputs, row.outputs)]
                    for row in rows
                ]
                costs = [[_distance(mine, other) for other in theirs] for _, *mine in found]
                pairs |= {name: "" for name, *_ in found}
                pairs |= {found[one][0]: rows[other].name for one, other in in_order(costs)}
        return pairs


def in_order(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs of rows and columns, both ascending, that are most in number, and of these the cheapest.

    What costs more than `AGREE` is no pair.

        >>> in_order([[0.0, 0.01], [1.0, 0.0]])
        [(0, 0), (1, 1)]
        >>> in_order([[1.0, 0.0]])
        [(0, 1)]
    """
    width = len(costs[0])
    # For as many rows and columns from the end: how many pairs there are, less what they cost, and which they are.
    best: list[tuple[float, list[tuple[int, int]]]] = [(0.0, [])] * (width + 1)
    for row in reversed(range(len(costs))):
        new: list[tuple[float, list[tuple[int, int]]]] = [(0.0, [])] * (width + 1)
        for column in reversed(range(width)):
            new[column] = max(best[column], new[column + 1], key=lambda each: each[0])
            if (cost := costs[row][column]) <= AGREE and 1 - cost + best[column + 1][0] > new[column][0]:
                new[column] = (1 - cost + best[column + 1][0], [(row, column), *best[column + 1][1]])
        best = new
    return best[0][1]


def trace(tensor: Any) -> Array:
    """Some elements of a tensor of OneFlow's or of an array, behind its shape."""
    elements = sample(tensor)
    elements = elements if isinstance(elements, np.ndarray) else elements.detach().numpy()
    return np.concatenate([[len(tensor.shape), *tensor.shape], np.nan_to_num(elements.astype(np.float64))])


def _distance(mine: Sequence[Sequence[Array]], theirs: Sequence[Sequence[Array]]) -> float:
    """How far two calls are apart: what they get, or what they give, whichever is nearer."""
    distances = [
        max(min((_apart(one, other) for other in recorded), default=np.inf) for one in found)
        for found, recorded in zip(mine, theirs, strict=True)
        if found
    ]
    return float(min(distances, default=np.inf))


def _apart(one: Array, other: Array) -> float:
    """How far two traces are apart, relative to the largest value; infinite where their shapes are not alike."""
    head = 1 + int(one[0])
    if one.shape != other.shape or not np.array_equal(one[:head], other[:head]):
        return np.inf
    size = float(np.abs(other[head:]).max(initial=0))
    distance = float(np.abs(one[head:] - other[head:]).max(initial=0))
    return distance / size if size else distance
