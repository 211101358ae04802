"""Values as expressions, and constant expressions as values."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from torch2flow.models.codegen.literals import NotConstantError, Unknown, evaluate, literal, slice_of, tensor
from torch2flow.models.program import Dtype, Symbol


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


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
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("7 // 2 ** 1", 3),
        ("-3 % 2", 1),
        ("not ()", True),
        ("1 < 2 <= 2", True),
        ("1 in (1, 2)", True),
        ("None is None", True),
        ("0 or 3", 3),
        ("1 and 0", 0),
        ("1 if 0 else 2", 2),
        ("(1, *(2, 3))", (1, 2, 3)),
        ("[1, 2][0]", 1),
        ("(1, 2, 3)[1:]", (2, 3)),
        ("len((1, 2))", 2),
        ("max(1, 2)", 2),
        ("tuple(2 * p for p in (1, 2))", (2, 4)),
        ("all(p == 1 for p in (1, 1))", True),
        ("isinstance(1, (int, float))", True),
        ("isinstance((1,), (tuple, list))", True),
        ("isinstance((1,), list)", True),  # a list and a tuple are one thing here
        ("reversed((1, 2))", (2, 1)),
        ("math.sqrt(4)", 2.0),
        ("math.inf", float("inf")),
        ("flow.float32", "flow.float32"),
        ("is_float(flow.float16)", True),
        ("is_float(flow.int64)", False),
    ],
)
def test_a_constant_expression_has_a_value(text: str, value: Any) -> None:
    assert evaluate(expression(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "x", "x + 1", "f(1)", "1 / 0", "1 + 'a'", "x.shape[0]", "open('/etc/passwd')", "len(3)", "lambda: 1",
        "[p for p in (1, 2) if p]", "().__class__", "max(1, key=2)", "{1: 2}",
        "~1", "(1, 2) @ 3", "10 ** 10 ** 10", "2 ** 99999999",
    ],
)  # fmt: skip
def test_what_is_not_constant_is_told(text: str) -> None:
    with pytest.raises(NotConstantError):
        evaluate(expression(text))


@pytest.mark.parametrize("text", ["(1, 2)[5]", "(1, 2)['a']", "3[0]"])
def test_a_subscript_that_fails_is_not_constant(text: str) -> None:
    with pytest.raises(NotConstantError):
        evaluate(expression(text))


def test_names_stand_for_the_arguments_of_a_call() -> None:
    assert evaluate(expression("alpha == 1 and len(size) == 2"), {"alpha": literal(1), "size": literal([3, 4])}) is True


def test_a_tensor_is_neither_none_nor_a_number() -> None:
    names = {"x": tensor(expression("hidden"))}
    assert evaluate(expression("x is None"), names) is False
    assert evaluate(expression("x is not None"), names) is True
    assert evaluate(expression("isinstance(x, (int, float))"), names) is False
    assert isinstance(evaluate(expression("x"), names), Unknown)


@pytest.mark.parametrize("text", ["x + 1", "x == 1", "x and 1", "not x", "len(x)"])
def test_what_depends_on_a_tensor_is_not_constant(text: str) -> None:
    with pytest.raises(NotConstantError):
        evaluate(expression(text), {"x": tensor(expression("hidden"))})


@pytest.mark.parametrize("given", ["x.shape[0]", "x.shape[0] + 1", "(x.shape[0], 3)"])
def test_a_size_known_at_run_time_is_known_not_to_be_none(given: str) -> None:
    assert evaluate(expression("size is None"), {"size": expression(given)}) is False
    assert evaluate(expression("size is not None"), {"size": expression(given)}) is True


@pytest.mark.parametrize("given", ["x.shape[0]", "1.0 / x.shape[0]"])
def test_a_size_known_at_run_time_is_known_to_be_a_number(given: str) -> None:
    assert evaluate(expression("isinstance(size, bool)"), {"size": expression(given)}) is False
    assert evaluate(expression("isinstance(size, tuple)"), {"size": expression(given)}) is False


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
