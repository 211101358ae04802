"""Expressions of dynamic sizes: every form that PyTorch writes is read, and nothing else."""

from __future__ import annotations

import pytest

from torch2flow.errors import FormatError
from torch2flow.models.program.symbols import SymInt, parse

S0 = "Symbol('s0', positive=True, integer=True)"
S1 = "Symbol('s1')"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (S0, "s0"),
        (f"Add({S0}, Integer(1))", "s0 + 1"),
        (f"Add(Integer(1), {S0})", "s0 + 1"),
        (f"Add({S0}, Integer(-1))", "s0 - 1"),
        (f"Add({S0}, {S1}, Integer(2))", "s0 + s1 + 2"),
        (f"Mul(Integer(49), {S0})", "49 * s0"),
        (f"Mul(Integer(2), {S0}, {S1})", "2 * s0 * s1"),
        (f"Mul(Integer(-1), {S0})", "-1 * s0"),
        (f"Pow({S0}, Integer(2))", "s0 ** 2"),
        (f"Mod({S0}, Integer(2))", "s0 % 2"),
        (f"PythonMod({S0}, Integer(2))", "s0 % 2"),
        (f"FloorDiv({S0}, Integer(2))", "s0 // 2"),
        (f"CleanDiv({S0}, Integer(2))", "s0 // 2"),
        (f"IntTrueDiv({S0}, Integer(2))", "s0 // 2"),
        (f"Max(Integer(1), {S0})", "max(1, s0)"),
        (f"Min({S0}, {S1})", "min(s0, s1)"),
        (f"ToFloat({S0})", "s0"),
        (f"TruncToInt({S0})", "s0"),
        (f"Mul(Integer(4), FloorDiv(Add({S0}, Integer(3)), Integer(8)))", "4 * ((s0 + 3) // 8)"),
    ],
)
def test_sympys_own_notation_becomes_python(text: str, expected: str) -> None:
    assert parse(text, 7) == SymInt(expected, 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s0", "s0"),
        ("s0 + 1", "s0 + 1"),
        ("2*s0 - 3", "2 * s0 - 3"),
        ("(s0 + 3)//8", "(s0 + 3) // 8"),
        ("s0**2 % s1", "s0 ** 2 % s1"),
        ("-s0", "-s0"),
        ("FloorDiv(s0, 2)", "s0 // 2"),
        ("Max(1, s0)", "max(1, s0)"),
    ],
)
def test_the_older_plain_notation_is_read_too(text: str, expected: str) -> None:
    assert str(parse(text)) == expected


@pytest.mark.parametrize(("text", "expected"), [("Integer(12)", 12), ("12", 12), ("-3", -3), ("Integer(-3)", -3)])
def test_a_plain_number_is_an_int(text: str, expected: int) -> None:
    assert parse(text) == expected


def test_the_value_at_capture_goes_with_the_expression() -> None:
    size = parse(f"Mul(Integer(2), {S0})", hint=6)
    assert isinstance(size, SymInt) and size.hint == 6


def test_symbols_are_named_once_and_in_order() -> None:
    size = parse(f"Max(Mul({S1}, {S0}), Add({S0}, Integer(1)))")
    assert isinstance(size, SymInt) and size.symbols == ["s1", "s0"]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "s0.__class__",
        "s0[0]",
        "lambda: s0",
        "[s0]",
        "{s0}",
        "s0 if s0 else 1",
        "s0 < 2",
        "s0 and s1",
        "f's0'",
        "'s0'",
        "1.5",
        "s0 / 2",
        "s0 << 100",
        "~s0",
        "eval(s0)",
        "Symbol(s0)",
        "Symbol('s0; import os')",
        "Symbol('')",
        "Symbol(3)",
        "Rational(1, 2)",
        "Half()",
        "Add()",
        "Unknown(s0)",
        "a.b(s0)",
        "(s0 := 3)",
        "await s0",
        "*s0",
        "",
        "s0 +",
        "s0\nimport os",
        "\0",
    ],
)
def test_what_is_no_integer_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="no integer expression"):
        parse(text)


@pytest.mark.parametrize("text", ["Symbol()", "Integer()", "FloorDiv(s0)", "Integer('x')", "Integer(None)", "Max()"])
def test_a_constructor_with_the_wrong_arguments_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 300 + "s0" + ")" * 300,
        "-" * 3000 + "s0",
        "Integer(" * 400 + "1" + ")" * 400,
        "s0+" * 1300 + "s0",
        "9" * 5000,
    ],
)
def test_a_huge_or_deep_expression_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except FormatError:
        pass


def test_an_error_quotes_only_the_beginning() -> None:
    with pytest.raises(FormatError) as raised:
        parse("x." * 1500)
    assert len(str(raised.value)) < 400
