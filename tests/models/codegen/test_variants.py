"""Modules whose bodies differ become one class, whose `forward` does for each of them what its own did."""

from __future__ import annotations

import ast
import textwrap
from typing import Any

import pytest
from drafts import block, linear, method, norm, written
from hypothesis import given, settings
from hypothesis import strategies as st

from torch2flow.models.codegen.alignment import CannotMergeError, MergedBody, body_of, merge_body
from torch2flow.models.codegen.blueprints import settle
from torch2flow.models.codegen.drafts import Blueprint, Code, ContainerCall, Draft, Instance, New, Slot
from torch2flow.models.codegen.variants import merged_classes, merged_modes

NAMES = ["x", "y", "a", "b", "c"]
names = st.sampled_from(NAMES)
steps = st.lists(st.tuples(names, st.sampled_from("+-*"), names, names), min_size=1, max_size=8)


def program(given_steps: list[tuple[str, str, str, str]], result: str) -> ast.FunctionDef:
    """A `forward` of one statement a step, in which only names are read that hold something."""
    known, lines = ["x", "y"], []
    for target, operator, left, right in given_steps:
        left, right = (name if name in known else known[len(name) % len(known)] for name in (left, right))
        lines.append(f"{target} = {left} {operator} {right}")
        known = list(dict.fromkeys([*known, target]))
    result = result if result in known else known[-1]
    return method("def forward(self, x, y):\n" + textwrap.indent("\n".join([*lines, f"return {result}"]), "    "))


def run(statements: list[ast.stmt], parameters: list[str], values: list[int]) -> Any:
    arguments = ast.arguments([], [ast.arg(name) for name in parameters], None, [], [], None, [])
    function = ast.FunctionDef("f", arguments, statements, [])
    space: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(ast.Module([function], [])), "f", "exec"), space)
    return space["f"](*values)


def run_variant(merged: MergedBody, variant: int, own: ast.FunctionDef, values: list[int]) -> Any:
    """What the merged body does for a variant."""
    statements = [entry.statement for entry in merged.entries if variant in entry.variants]
    names = [merged.renamed.get((variant, each.arg), each.arg) for each in own.args.args[1:]]
    return run(statements, names, values)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(steps, names), min_size=2, max_size=4))
def test_a_merged_body_does_what_each_variant_did(programs: list[tuple[Any, str]]) -> None:
    methods = [program(*each) for each in programs]
    merged, done = body_of(methods[0], 0), [0]
    for number, each in enumerate(methods[1:], start=1):
        try:
            merged = merge_body(merged, each, number)
        except CannotMergeError:
            continue
        done.append(number)
    for number in done:
        own = methods[number]
        assert run_variant(merged, number, own, [3, 5]) == run(own.body, ["x", "y"], [3, 5])


def shared(first: str, second: str) -> tuple[MergedBody, list[str]]:
    merged = merge_body(body_of(method(first), 0), method(second), 1)
    return merged, [ast.unparse(entry.statement) for entry in merged.entries if len(entry.variants) == 2]


def test_other_local_names_are_no_difference() -> None:
    _, both = shared(
        "def forward(self, x):\n    y = x + 1\n    return y * x",
        "def forward(self, x):\n    z = x + 1\n    return z * x",
    )
    assert both == ["y = x + 1", "return y * x"]


def test_what_is_written_in_place_is_not_shared_with_an_alias() -> None:
    first = "def forward(self, x):\n    y = x.clone()\n    y[0] = 1\n    return x + y"
    second = "def forward(self, x):\n    y = x\n    y[0] = 1\n    return x + y"
    merged, _ = shared(first, second)
    texts = [ast.unparse(entry.statement) for entry in merged.entries if 1 in entry.variants]
    assert texts[:2] == ["y = x", "y[0] = 1"]


# -- classes -------------------------------------------------------------------------------------------------------

FULL = "def forward(self, x):\n    identity = self.down(x)\n    out = self.fc(x)\n    return out + identity"
SMALL = "def forward(self, x):\n    out = self.fc(x)\n    return out + x"


def test_a_name_that_is_taken_is_another_inside_of_a_block_too() -> None:
    """`input` is what eval mode is given: train mode's own `input` is `input_2` wherever the block reads it."""
    evaluation = method("def forward(self, input):\n    return input * self.scale")
    train = method(
        """
        def forward(self, a):
            with flow.no_grad():
                input = self.scale * 2
                self.scale.copy_(input)
                other = input + 1
            return a * input + other
        """
    )
    merged = merged_modes(evaluation, train, ())
    assert merged is not None
    (name,) = (each.arg for each in merged[0].args.args[1:])
    text = ast.unparse(ast.fix_missing_locations(merged[0]))
    assert name == "input" and "input_2 = self.scale * 2" in text and "self.scale.copy_(input_2)" in text, text
    assert "other = input_2 + 1" in text and "return input * input_2 + other" in text, text


def residual(width: int, out: int) -> Draft:
    down = {"down": linear(width, out)} if width != out else {}
    return block({"fc": linear(width, out), **down}, FULL if down else SMALL)


def test_a_module_that_some_lack_is_optional() -> None:
    text, *rest = written(*(residual(*each) for each in ((4, 4), (4, 8), (8, 8))))
    assert "def __init__(self, in_features, out_features, down=False):" in text
    assert "self.down = nn.Linear(in_features, out_features) if down else None" in text
    assert "identity = x if self.down is None else self.down(x)" in text
    assert rest == ["Block(4, 4)", "Block(4, 8, down=True)", "Block(8, 8)"]


def test_a_value_that_the_original_held_is_the_test() -> None:
    causal = "def forward(self, x):\n    x = self.fc(x)\n    x = x.tril()\n    return self.fc(x)"
    plain = "def forward(self, x):\n    x = self.fc(x)\n    return self.fc(x)"
    drafts = [block({"fc": linear(4, 4)}, text) for text in (causal, plain)]
    for draft, value in zip(drafts, (True, False), strict=True):
        draft.facts = {"is_causal": value}
    text, *rest = written(*drafts)
    assert "if self.is_causal:\n            x = x.tril()" in text
    assert rest == ["Block(is_causal=True)", "Block()"]


def test_an_argument_that_is_not_given_is_the_test() -> None:
    both = "def forward(self, x, y):\n    x = self.fc(x)\n    x = x + y\n    return self.fc(x)"
    one = "def forward(self, x):\n    x = self.fc(x)\n    return self.fc(x)"
    text, *rest = written(*(block({"fc": linear(4, 4)}, each) for each in (both, one)))
    assert "def forward(self, x, y=None):" in text and "if y is not None:\n            x = x + y" in text
    assert rest == ["Block()", "Block()"]


def test_a_sequence_may_lack_items() -> None:
    def sequence(*items: New) -> Draft:
        inner = ContainerCall("nn.Sequential", {str(number): item for number, item in enumerate(items)})
        return block({"fc": inner}, "def forward(self, x):\n    return self.fc(x)")

    text, *rest = written(sequence(linear(4, 4), norm(4)), sequence(linear(4, 4)))
    assert "fc = [nn.Linear(4, 4)]" in text and "if layer_norm:\n            fc.append(nn.LayerNorm(4))" in text
    assert "self.fc = nn.Sequential(*fc)" in text
    assert rest == ["Block(layer_norm=True)", "Block()"]


def test_another_activation_is_an_argument() -> None:
    made = [block({"fc": New(Slot(Code(f"nn.{name}")), {})}) for name in ("ReLU", "GELU")]
    text, *rest = written(*made)
    assert "def __init__(self, activation_layer):" in text and "self.fc = activation_layer()" in text
    assert rest == ["Block(nn.ReLU)", "Block(nn.GELU)"]


@pytest.mark.parametrize(
    "other",
    [
        block({"fc": linear(4, 4)}, "def forward(self, x):\n    return self.fc(x).tanh()"),
        block({"other": linear(4, 4)}, "def forward(self, x):\n    return self.other(x)"),
        block({"fc": linear(4, 4)}, "def forward(self, x):\n    y = x.a()\n    z = y.b()\n    return z.c(y)"),
    ],
)
def test_modules_with_little_in_common_are_two_classes(other: Draft) -> None:
    texts = written(block({"fc": linear(4, 4)}), other)
    assert sum(text.startswith("class ") for text in texts) == 2


def test_an_argument_of_two_alternatives_reaches_the_class_around() -> None:
    """Each of two modules has another child, of another size: both sizes are arguments all the way out."""
    forward = "def forward(self, x):\n    x = self.fc(x)\n    return x + 1"
    inner = [
        block({"fc": linear(4, 8), "proj": linear(8, 8)}, forward),
        block({"fc": norm(16), "proj": linear(16, 16)}, forward),
    ]
    ((draft, members),) = merged_classes(inner)
    blueprint = Blueprint(draft, [member.row for member in members], name="Inner")
    outer = [block({"inner": Instance(blueprint, member.row)}, name="Outer") for member in members]
    settle(blueprint, set())
    assert written(*outer)[1:] == ["Outer(8)", "Outer(16, linear=False)"]
