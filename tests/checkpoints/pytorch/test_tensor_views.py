"""Another shape for the same elements, or other strides, wherever they lie."""

from __future__ import annotations

import math

import numpy as np
import pytest

from torch2flow.checkpoints.dtypes import DTYPES
from torch2flow.checkpoints.oneflow.reading import FlowTensor
from torch2flow.checkpoints.pytorch import Storage
from torch2flow.checkpoints.pytorch.pieced_tensor import PiecedTensor
from torch2flow.checkpoints.pytorch.tensor import contiguous_stride, in_memory, reshaped


@pytest.mark.parametrize(
    ("shape", "new"), [((6,), (1, 1, 6)), ((6, 1, 1), (6,)), ((1, 1, 6), (6,)), ((6, 4), (6, 4, 1, 1)), ((4, 4), (16,))]
)
def test_a_tensor_in_pieces_gets_another_shape(shape: tuple[int, ...], new: tuple[int, ...]) -> None:
    """As a gamma of timm's does that FSDP cut for two ranks."""
    values, dtype = np.arange(math.prod(shape), dtype="f4").reshape(shape), DTYPES["float32"]
    axis = int(np.argmax(shape))
    halves = [in_memory(half, dtype) for half in np.split(values, 2, axis)]
    starts = [tuple(at * (n // 2) * (i == axis) for i, n in enumerate(shape)) for at in (0, 1)]
    whole = Storage("", values.nbytes)
    pieces = list(zip(starts, halves, strict=True))
    tensor = reshaped(PiecedTensor(dtype, shape, contiguous_stride(shape), 0, whole, pieces=pieces), new)
    assert tensor.shape == new
    assert np.array_equal(tensor.numpy(), values.reshape(new))


def test_a_tensor_that_is_stored_in_another_dtype_gets_another_shape() -> None:
    """As a bfloat16 of PyTorch's that torch2flow wrote as float32, in a folder read back."""
    values = np.arange(6, dtype="f4").reshape(2, 3)
    stored = in_memory(values, DTYPES["float32"])
    tensor = FlowTensor(stored.dtype, stored.shape, stored.stride, 0, stored.storage).recast(DTYPES["bfloat16"])
    for found, expected in (
        (reshaped(tensor, (3, 2, 1)), values.reshape(3, 2, 1)),
        (tensor.seen((3, 2), (1, 3)), values.T),
        (tensor.region((0, 1), (2, 3)).seen((2, 2), (1, 3)), values[:, 1:].T),
    ):
        assert found.dtype is DTYPES["bfloat16"]
        assert np.array_equal(found.numpy().astype("f4"), expected)
        assert np.array_equal(np.concatenate(list(found.chunks())).astype("f4"), expected.reshape(-1))
