"""The changes that are tried in order to put a difference right, and which code they are tried in."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from torch2flow.proof.parity.source_edits import behind, edits, numbers, solved

SOURCE = """\
def forward(self, x, mask):
    bias = flow.logical_not(mask) * -1e4
    x = self.norm(self.embed(x))
    for layer in self.layers:
        y = layer["attention"](x)
        x = x + y * 0.5
        x = layer["feed"](F.relu(x)) + x
    z = flow.cat((x, bias), dim=1)
    return self.head(flow.tanh(z))
"""


def function() -> ast.FunctionDef:
    found = ast.parse(SOURCE).body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def lines(line: int) -> list[int]:
    return sorted({getattr(slot.get(), "lineno", 0) for slot in behind(function(), line)} - {0})


@pytest.mark.parametrize(
    ("line", "expected"),
    [(9, [2, 3, 5, 6, 7, 8, 9]), (0, [2, 3, 5, 6, 7, 8, 9]), (5, [3, 5, 6, 7]), (3, [3])],
)
def test_only_the_code_that_makes_a_value_is_changed(line: int, expected: list[int]) -> None:
    """In a loop, what a turn before made belongs to it; what a layer was given does not."""
    assert lines(line) == expected


def variants(source: str) -> set[str]:
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    found = set()
    for edit in edits(tree, behind(tree, 0), ["self.scale"]):
        old = edit.slot.get()
        edit.slot.put(edit.new)
        found.add(ast.unparse(tree).splitlines()[-1].strip())
        edit.slot.put(old)
    assert ast.unparse(tree) == ast.unparse(ast.parse(source))  # each change is undone
    return found


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("F.relu(self.fc(x))", "F.gelu(self.fc(x))"),
        ("self.fc(x)", "F.silu(self.fc(x))"),
        ("flow.tanh(self.fc(x))", "self.fc(x)"),
        ("self.fc(x)", "self.fc(x) + x"),
        ("self.fc(x)", "self.fc(x) * self.scale"),
        ("x - y", "x + y"),
        ("x - y", "y - x"),
        ("flow.cat((x, y), dim=1)", "flow.cat((y, x), dim=1)"),
        ("flow.matmul(x, y)", "flow.matmul(y, x)"),
        ("F.softmax(x, dim=1)", "F.softmax(x, dim=2)"),
        ("x.masked_fill(mask, 0.0)", "x.masked_fill(flow.logical_not(mask), 0.0)"),
        ("x if self.training else y", "y if self.training else x"),
        ("self.fc(x).half()", "self.fc(x)"),
        ("self.norm(F.relu(x))", "F.relu(self.norm(x))"),
        ("F.interpolate(x, align_corners=True)", "F.interpolate(x, align_corners=False)"),
        ("F.gelu(x, approximate='tanh')", "F.gelu(x)"),
    ],
)
def test_what_was_got_wrong_can_be_put_right(wrong: str, right: str) -> None:
    found = variants(f"def forward(self, x, y, mask):\n    return {wrong}\n")
    assert f"return {ast.unparse(ast.parse(right))}" in found


def test_the_numbers_of_a_function_and_its_defaults_are_found() -> None:
    tree = ast.parse("def norm(x, eps=1e-05):\n    return x * 0.5 + 3\n").body[0]
    assert isinstance(tree, ast.FunctionDef)
    assert [slot.get().value for slot in numbers(tree, behind(tree, 0))] == [0.5, 1e-05]


@pytest.mark.parametrize(("start", "right"), [(0.5, 0.7071), (1.0, -3.0), (1e-3, 0.25)])
def test_a_number_is_solved_for(start: float, right: float) -> None:
    values = np.linspace(-1, 2, 9)

    def left(number: float) -> np.ndarray:
        return np.tanh(values * number) - np.tanh(values * right)

    assert min(abs(value - right) for value in solved(left, start)) < 1e-3 * max(1, abs(right))
