"""Sizes that a program excludes: it holds one branch of the author's code, and other sizes would take another.

PyTorch exports `if x.shape[0] > 4` as the branch that the sample took, with a bound on the size; and an axis that was
named, but on which the code depends, with one size alone. The generated `forward` refuses what is beyond it; else it
would give the result of the wrong branch without a word.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from torch2flow.models.program import Graph, Ref, SymInt

ALWAYS = 2
"""PyTorch takes it for granted that a dynamic size is at least 2, whatever the author's code asks."""


def bounds(graph: Graph) -> Iterator[tuple[str, int, int | None, int | None]]:
    """Each size of an input that the program bounds: the value, the axis, the smallest and the largest size."""
    told = set()
    for value in graph.inputs:
        meta = graph.metas.get(value.name) if isinstance(value, Ref) else None
        shape = meta.shape if meta is not None else ()
        for axis, size in enumerate(shape):
            if isinstance(value, Ref) and isinstance(size, SymInt) and size.text not in told:
                low, high = graph.ranges.get(size.text, (None, None))
                low = low if low is not None and low > ALWAYS else None
                if low is not None or high is not None:
                    told.add(size.text)
                    yield value.name, axis, low, high
            elif isinstance(value, Ref) and isinstance(size, int) and (value.name, axis) in graph.static:
                yield value.name, axis, size, size


def size_checks(graph: Graph, names: Mapping[str, str]) -> Iterator[ast.stmt]:
    """The statements that refuse other sizes.

    Args:
        graph: the program.
        names: the local name of each input value.
    """
    for value, axis, low, high in bounds(graph):
        if value in names:
            size = f"{names[value]}.shape[{axis}]"
            tests = [] if low is None or low == high else [f"{size} < {low}"]
            tests += [] if high is None else [f"{size} {'!=' if low == high else '>'} {high}"]
            text = f"{size} {_wanted(low, high)}: PyTorch's code goes another way for other sizes"
            yield from ast.parse(f"if {' or '.join(tests)}:\n    raise ValueError({text!r})").body
    for value, axis, wanted in graph.train_sizes:
        if value in names:
            size = f"{names[value]}.shape[{axis}]"
            text = f"{size} must be {wanted} in train mode: PyTorch's code goes another way for other sizes"
            yield from ast.parse(f"if self.training and {size} != {wanted}:\n    raise ValueError({text!r})").body


def size_notes(graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    """What a person should know of them."""
    for value, axis, low, high in bounds(graph):
        yield (
            f"axis {axis} of {names.get(value, value)} {_wanted(low, high)}, and forward refuses other sizes:"
            " PyTorch's code goes another way for these, which the captured program does not hold"
        )
    for value, axis, wanted in graph.train_sizes:
        name = names.get(value, value)
        yield f"axis {axis} of {name} must be {wanted} in train mode, and forward refuses other sizes there"


def _wanted(low: int | None, high: int | None) -> str:
    if low is None:
        return f"must be at most {high}"
    if high is None:
        return f"must be at least {low}"
    return f"must be {low}" if low == high else f"must be from {low} to {high}"
