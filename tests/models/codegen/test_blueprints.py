"""Modules that differ only in numbers are one class, with the numbers as arguments of its constructor."""

from __future__ import annotations

import ast

import pytest
from drafts import block, linear, norm, written

from torch2flow.models.codegen.cells import same, shape_of
from torch2flow.models.codegen.drafts import ContainerCall, Draft, Own, Repeated, Slot
from torch2flow.models.codegen.literals import literal


def test_equal_modules_are_one_class_without_arguments() -> None:
    text, one, two = written(*(block({"fc": linear(4, 8)}) for _ in range(2)))
    assert "def __init__(self):" in text and "nn.Linear(4, 8)" in text
    assert one == two == "Block()"


def test_a_number_that_differs_is_an_argument() -> None:
    text, *rest = written(*(block({"fc": linear(4, out)}) for out in (8, 16)))
    assert "def __init__(self, out_features):" in text and "nn.Linear(4, out_features)" in text
    assert rest == ["Block(8)", "Block(16)"]


def test_numbers_that_change_together_are_one_argument() -> None:
    text, *rest = written(*(block({"fc": linear(4, width), "norm": norm(width)}) for width in (8, 16)))
    assert "nn.LayerNorm(out_features)" in text
    assert rest == ["Block(8)", "Block(16)"]


def test_numbers_that_change_apart_are_two_arguments() -> None:
    widths = [(8, 8), (8, 16), (16, 16)]
    text, *rest = written(*(block({"fc": linear(4, out), "proj": linear(4, other)}) for out, other in widths))
    assert "def __init__(self, out_features, proj_out_features):" in text
    assert rest == ["Block(8, 8)", "Block(8, 16)", "Block(16, 16)"]


def test_an_argument_at_its_default_is_left_out() -> None:
    text, *rest = written(*(block({"norm": norm(8, eps)}) for eps in (1e-5, 1e-6)))
    assert "def __init__(self, eps=1e-05):" in text
    assert rest == ["Block()", "Block(eps=1e-06)"]


def test_a_number_in_forward_is_kept_on_the_module() -> None:
    forward = "def forward(self, x):\n    return self.fc(x) * {}"
    text, *rest = written(*(block({"fc": linear(4, 4)}, forward.format(scale)) for scale in (0.5, 2.0)))
    assert "self.scale = scale" in text and "self.fc(x) * self.scale" in text
    assert rest == ["Block(0.5)", "Block(2.0)"]


def test_a_number_of_a_parameter_is_an_argument() -> None:
    def own(size: int) -> Own:
        call = ast.Call(ast.parse("flow.zeros").body[0].value, [literal(size, "size")], [])  # type: ignore[attr-defined]
        target = ast.Attribute(ast.Name("self", ast.Load()), "gamma", ast.Store())
        return Own("gamma", ast.Assign([target], call))

    text, *rest = written(*(block(owns=(own(size),)) for size in (4, 8)))
    assert "self.gamma = flow.zeros(size)" in text
    assert rest == ["Block(4)", "Block(8)"]


def test_a_reserved_name_is_no_argument() -> None:
    text, *_ = written(*(block({"fc": linear(4, out)}) for out in (8, 16)), reserved=("out_features",))
    assert "def __init__(self, fc_out_features):" in text


@pytest.mark.parametrize(
    "other",
    [
        block({"fc": norm(4)}),
        block({"fc1": linear(4, 8)}),
        block({"fc": linear(4, 8)}, "def forward(self, x):\n    return self.fc(x) + x"),
        block({"fc": ContainerCall("nn.Sequential", {"0": linear(4, 8)})}),
    ],
)
def test_other_differences_make_another_class(other: Draft) -> None:
    assert shape_of(block({"fc": linear(4, 8)})) != shape_of(other)


def test_the_names_of_local_variables_are_no_difference() -> None:
    left, right = (
        block(forward="def forward(self, x):\n    y = self.fc(x)\n    return y"),
        block(forward="def forward(self, z):\n    out = self.fc(z)\n    return out"),
    )
    assert shape_of(left) == shape_of(right)


def test_swapped_variables_are_a_difference() -> None:
    left, right = (
        block(forward="def forward(self, x, y):\n    return x - y"),
        block(forward="def forward(self, x, y):\n    return y - x"),
    )
    assert shape_of(left) != shape_of(right)


def test_a_bool_is_no_number() -> None:
    left, right = (
        block(forward="def forward(self, x):\n    return x.f(True)"),
        block(forward="def forward(self, x):\n    return x.f(False)"),
    )
    assert shape_of(left) != shape_of(right)


def test_the_same_construction_has_the_same_numbers() -> None:
    assert same(linear(4, 8), linear(4, 8))
    assert not same(linear(4, 8), linear(4, 9))
    assert not same(linear(4, 8), norm(4))
    assert not same(norm(4, 1), norm(4, True))


def test_repeated_modules_are_a_comprehension() -> None:
    top = Draft("Top", "nn.Module", [], {"layers": Repeated("nn.ModuleList", linear(4, 8), Slot(3, "depth"))}, [])
    assert "self.layers = nn.ModuleList([nn.Linear(4, 8) for _ in range(3)])" in written(top)[0]


def test_an_argument_has_the_name_of_the_attribute_that_held_it() -> None:
    forward = "def forward(self, x):\n    return x.reshape(2, {})"
    made = [block({}, forward.format(heads)) for heads in (3, 6)]
    for draft, heads in zip(made, (3, 6), strict=True):
        draft.facts = {"dim": 5, "num_heads": heads}
    text, *rest = written(*made)
    assert "def __init__(self, num_heads):" in text and "self.num_heads = num_heads" in text
    assert rest == ["Block(3)", "Block(6)"]


def test_a_name_that_says_little_is_the_last_resort() -> None:
    drafts = [block({"fc": linear(4, out), "proj": linear(out, 4)}) for out in (8, 16)]
    for draft in drafts:
        for cell in (draft.children["fc"].slots["out_features"],):  # type: ignore[union-attr]
            cell.hint = "size"
    assert "def __init__(self, in_features):" in written(*drafts)[0]
