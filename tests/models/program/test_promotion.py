"""The common dtype of mixed operands, against PyTorch's own."""

from __future__ import annotations

from itertools import product
from types import ModuleType

import pytest

from torch2flow.models.program.promotion import common_dtype

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
NUMBERS = {"bool": True, "int": 2, "float": 2.5}


@pytest.mark.parametrize("ndims", [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_two_tensors_meet_as_pytorch_has_them(ndims: tuple[int, int], torch: ModuleType) -> None:
    for left, right in product(DTYPES, repeat=2):
        tensors = [torch.zeros((2,) * n, dtype=getattr(torch, d)) for d, n in zip((left, right), ndims, strict=True)]
        expected = str(torch.result_type(*tensors)).removeprefix("torch.")
        assert common_dtype(zip((left, right), ndims, strict=True)) == expected, (left, right)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("ndim", [0, 1])
def test_a_tensor_and_a_number_meet_as_pytorch_has_them(number: str, ndim: int, torch: ModuleType) -> None:
    for dtype in DTYPES:
        tensor = torch.zeros((2,) * ndim, dtype=getattr(torch, dtype))
        expected = str(torch.result_type(tensor, NUMBERS[number])).removeprefix("torch.")
        assert common_dtype([(dtype, ndim), (number, None)]) == expected, dtype


def test_nothing_has_no_dtype() -> None:
    assert common_dtype([]) == ""
