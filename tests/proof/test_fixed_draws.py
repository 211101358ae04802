"""Fixed draws are the same numbers in PyTorch and OneFlow, and look like random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torch2flow.proof.fixed_draws import normal, uniform

SHAPES = [(), (1,), (7,), (4, 1, 1), (3, 0), (128, 65)]


@pytest.mark.parametrize("shape", SHAPES)
def test_both_libraries_make_the_same_numbers_bit_for_bit(shape: tuple[int, ...], torch: Any, flow: Any) -> None:
    for make in (uniform, normal):
        theirs, ours = make(torch, shape, torch.device("cpu")), make(flow, shape, flow.device("cpu"))
        assert theirs.shape == shape and np.array_equal(theirs.numpy(), ours.numpy())
        assert np.array_equal(theirs.float().double().numpy(), theirs.numpy())


def test_they_are_spread_as_random_numbers_are(torch: Any) -> None:
    drawn = uniform(torch, (10_000,), "cpu").numpy()
    assert drawn.min() > 0 and drawn.max() < 1 and np.allclose(np.histogram(drawn, 10, (0, 1))[0], 1000, atol=20)
    drawn = normal(torch, (10_000,), "cpu").numpy()
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.1
