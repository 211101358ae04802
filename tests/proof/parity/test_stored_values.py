"""What a weight holds that is not PyTorch's, told from digests alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torch2flow.proof.digests import digest
from torch2flow.proof.parity.stored_values import another_weight

RNG = np.random.default_rng(0)
WEIGHTS: dict[str, Any] = {
    "a.weight": RNG.standard_normal((6, 6)).astype(np.float32),
    "b.weight": RNG.standard_normal((6, 6)).astype(np.float32),
    "conv.weight": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
    "qkv.bias": RNG.standard_normal(12).astype(np.float32),
}
RECORDED = {name: digest(array) for name, array in WEIGHTS.items()}


def cut(array: Any, bits: int) -> Any:
    array = array.copy()
    array.view(np.uint32)[...] &= np.uint32(0xFFFFFFFF << bits & 0xFFFFFFFF)
    return array


@pytest.mark.parametrize(
    ("name", "holds", "told"),
    [
        ("a.weight", WEIGHTS["b.weight"], "holds PyTorch's `b.weight`"),
        ("a.weight", WEIGHTS["a.weight"].T, "transposed"),
        ("conv.weight", WEIGHTS["conv.weight"][..., ::-1, ::-1], "flipped"),
        ("qkv.bias", np.roll(WEIGHTS["qkv.bias"], 4), "the 3 slices"),
        ("qkv.bias", np.zeros(12, np.float32), "0 everywhere"),
        ("a.weight", cut(WEIGHTS["a.weight"], 16), "one of bfloat16"),
        ("a.weight", cut(WEIGHTS["a.weight"], 13), "one of float16"),
        ("a.weight", WEIGHTS["a.weight"] * 1.5, "another weight or bias"),
    ],
)
def test_the_cause_is_what_the_numbers_show(name: str, holds: Any, told: str) -> None:
    assert told in another_weight(name, np.ascontiguousarray(holds), RECORDED, name)
