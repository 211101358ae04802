"""Values as expressions."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from torch2flow.models.codegen.literals import literal, slice_of
from torch2flow.models.program import Dtype, Symbol


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (True, "True"),
        (None, "None"),
        ([1, 2], "(1, 2)"),
        ([], "()"),
        ("mean", "'mean'"),
        (float("inf"), "float('inf')"),
        (float("-inf"), "float('-inf')"),
        (float("nan"), "float('nan')"),
        (Dtype("float16"), "flow.float16"),
        (Dtype("int16"), "flow.int32"),
        (Symbol("device", "cuda"), "'cuda'"),
        ([[1], 2.5], "((1,), 2.5)"),
    ],
)
def test_a_value_as_source(value: Any, text: str) -> None:
    assert ast.unparse(literal(value)) == text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((0, 3, 1), ":3"),
        ((2, 2**63 - 1, 1), "2:"),
        ((None, None, 2), "::2"),
        ((0, 2**63 - 1, 1), ":"),
        ((-2, None, 1), "-2:"),
    ],
)
def test_a_slice_says_no_more_than_it_must(parts: tuple[Any, ...], text: str) -> None:
    made = slice_of(*[literal(part) for part in parts])
    assert ast.unparse(ast.Subscript(ast.Name("x", ast.Load()), made, ast.Load())) == f"x[{text}]"
