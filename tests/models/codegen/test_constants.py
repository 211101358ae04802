"""Tensors outside the state dict as expressions: regular ones in words, small ones in numbers, others in a file."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from torch2flow.errors import FormatError
from torch2flow.models.codegen.constants import SMALL, Constants
from torch2flow.models.program import State


@dataclass
class Dtype:
    name: str


class Tensor:
    """What `Constants` needs of a `TensorRef`."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.dtype, self.shape = Dtype(str(self.values.dtype)), self.values.shape
        self.nbytes, self.storage = self.values.nbytes, self.values

    def numpy(self) -> np.ndarray:
        return self.values


def written(known: Constants, name: str, dtype: str = "") -> str:
    tensor: Any = known.tensors[name]
    made = known.expression(State("buffer", name, persistent=False), dtype or tensor.dtype.name)
    return ast.unparse(ast.fix_missing_locations(made))


def text(values: Any, dtype: str = "") -> str:
    return written(Constants({"t": Tensor(values)}), "t", dtype)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(5), "flow.arange(5)"),
        (np.arange(2, 5), "flow.arange(2, 5)"),
        (np.arange(0, 9, 3), "flow.arange(0, 9, 3)"),
        (np.arange(3)[::-1], "flow.arange(2, -1, -1)"),
        (np.arange(4, dtype="int32"), "flow.arange(4, dtype=flow.int32)"),
        (np.arange(6).reshape(1, 6), "flow.arange(6).reshape(1, 6)"),
        (np.zeros((2, 3), "float32"), "flow.zeros((2, 3), dtype=flow.float32)"),
        (np.ones(3, "int64"), "flow.ones((3,), dtype=flow.int64)"),
        (np.ones((2, 2), bool), "flow.ones((2, 2), dtype=flow.bool)"),
        (np.full((2, 2), 0.5, "float32"), "flow.full((2, 2), 0.5, dtype=flow.float32)"),
        (np.full(3, -np.inf, "float32"), "flow.full((3,), float('-inf'), dtype=flow.float32)"),
        (np.float32(0.5), "flow.tensor(0.5, dtype=flow.float32)"),
        (np.int64(3), "flow.tensor(3, dtype=flow.int64)"),
        (np.array([[2.5]], "float32"), "flow.tensor([2.5], dtype=flow.float32).reshape(1, 1)"),
        (np.array([1.5, 2.0], "float64"), "flow.tensor([1.5, 2.0], dtype=flow.float64)"),
        (np.array([1, 5]), "flow.tensor([1, 5], dtype=flow.int64)"),
        (np.array([[1, 2], [4, 8]]), "flow.tensor([1, 2, 4, 8], dtype=flow.int64).reshape(2, 2)"),
    ],
)
def test_a_regular_or_small_tensor_is_written_out(values: Any, expected: str) -> None:
    assert text(values) == expected


def test_numbers_are_written_in_full() -> None:
    """Also where the source is turned into float64, they are the float32 numbers that PyTorch had."""
    assert (
        text(np.array([0.1, 0.2], "float32"))
        == f"flow.tensor([{float(np.float32(0.1))}, {float(np.float32(0.2))}], dtype=flow.float32)"
    )


def test_anything_else_is_kept_in_a_file() -> None:
    table: Any = Tensor(np.linspace(0, 1, SMALL + 1, dtype="float32") ** 2)
    known = Constants({"rope.table": table})
    assert written(known, "rope.table") == "constant('rope.table')"
    assert known.stored == {"rope.table": table}


def test_equal_tensors_share_one_file() -> None:
    values = np.linspace(0, 1, 40, dtype="float32") ** 2
    known = Constants({"a": Tensor(values), "b": Tensor(values.copy()), "c": Tensor(values + 1)})  # type: ignore[dict-item]
    assert [written(known, name) for name in "abc"] == ["constant('a')", "constant('a')", "constant('c')"]
    assert sorted(known.stored) == ["a", "c"]


def test_equal_bytes_of_another_shape_are_another_tensor() -> None:
    values = np.linspace(0, 1, 40, dtype="float32") ** 2
    known = Constants({"a": Tensor(values), "b": Tensor(values.reshape(4, 10))})  # type: ignore[dict-item]
    assert [written(known, name) for name in "ab"] == ["constant('a')", "constant('b')"]


def test_a_tensor_that_the_file_lacks_is_told() -> None:
    with pytest.raises(FormatError, match=r"'rope.table', which the file does not hold"):
        Constants({}).expression(State("buffer", "rope.table", persistent=False), "float32")


def test_a_number_is_known_by_the_name_of_its_value() -> None:
    known = Constants({"one": Tensor(np.float32(1.5)), "many": Tensor(np.ones(2))})  # type: ignore[dict-item]
    states = {"c": State("constant", "constant_0", key="one"), "d": State("constant", "constant_1", key="many")}
    assert known.numbers(states) == {"c": 1.5}


def test_an_empty_tensor_is_written_out() -> None:
    assert "flow." in text(np.zeros((0,), "float32"))
