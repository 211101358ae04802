"""Blocks of tensors: which part of one a rank holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch2flow.checkpoints.sharding.placement import Layout, box
from torch2flow.errors import FormatError

SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3)
COUNTS = st.lists(st.integers(1, 4), min_size=1, max_size=2)


@given(SHAPES, COUNTS, st.data())
def test_the_blocks_of_all_ranks_are_the_tensor(shape: list[int], counts: list[int], data: st.DataObject) -> None:
    axes = tuple(data.draw(st.sampled_from([None, *range(len(shape))])) for _ in counts)
    layout = Layout(np.arange(np.prod(counts)).reshape(counts).tolist(), axes)
    seen, held = np.zeros(shape, int), []
    for rank in range(int(np.prod(counts))):
        block = layout.block(tuple(shape), rank)
        assert block is not None
        part = seen[tuple(slice(a, b) for a, b in zip(*block, strict=True))]
        part += 1
        held.append(part.size)
    copies = int(np.prod([count for axis, count in zip(axes, counts, strict=True) if axis is None]))
    assert (seen == copies).all()
    assert layout.elements(tuple(shape)).reshape(-1).tolist() == held
    assert (layout.smallest(tuple(shape)) == 0) == (0 in held)


def test_the_first_ranks_have_one_more() -> None:
    assert [box((5,), [0], [3], [rank]) for rank in range(3)] == [((0,), (2,)), ((2,), (4,)), ((4,), (5,))]


def test_a_rank_outside_the_placement_holds_nothing() -> None:
    layout = Layout([1, 3], (0,))
    assert layout.block((4,), 0) is None and layout.block((4,), 3) == ((2,), (4,))
    assert Layout([[0, 1], [2, 3]], (None, 0)).block((4,), 2) == ((0,), (2,))


@pytest.mark.parametrize(
    "value",
    [None, {}, {"ranks": [0, 1], "split": []}, {"ranks": [0, 1], "split": ["x"]}, {"ranks": [0, 1], "split": [-1]},
     {"ranks": [0, [1]], "split": [0]}, {"ranks": [0, 0], "split": [0]}, {"ranks": 3, "split": [0]},
     {"ranks": [[0, 1]], "split": [0]}, {"ranks": [], "split": [0, 1]}],
)  # fmt: skip
def test_what_is_no_placement_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="placement"):
        Layout.from_json(value, "somewhere")
