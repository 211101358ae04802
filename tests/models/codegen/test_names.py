"""Names read from source lines, also where a traceback cuts a line short."""

from __future__ import annotations

import pytest

from torch2flow.models.codegen.names import (
    call_arguments,
    class_name,
    is_attribute,
    is_name,
    operations,
    read_names,
    singular,
    statement_targets,
    targets,
)
from torch2flow.models.program import Line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out = self.relu(x)", ("out",)),
        ("q, k, v = qkv.unbind(0)", ("q", "k", "v")),
        ("x: Tensor = self.fc(x)", ("x",)),
        ("x += self.pos", ("x",)),
        ("x //= 2", ("x",)),
        ("x **= 2", ("x",)),
        ("a, *rest = parts", ("a", "")),
        ("self.cache = x", ("",)),
        ("x, self.cache = f(x)", ("x", "")),
        ("out = torch.cat([", ("out",)),
        ("x, = parts", ("x",)),
        ("hidden = (", ("hidden",)),
        ("if x == y:", ()),
        ("x == y", ()),
        ("return x", ()),
        ("f(x=3)", ()),
        ("x[0] = y", ()),
        ("", ()),
        ("nn = x", ("",)),
    ],
)
def test_the_targets_of_a_line(text: str, expected: tuple[str, ...]) -> None:
    assert targets(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = self.fc(x) + identity", ("x", "identity")),
        ("out = torch.cat([q, k", ("q", "k")),
        ("x = F.relu(hidden)", ("hidden",)),
        ("x = function(hidden)", ("hidden",)),
        ("if mask is not None:", ("mask",)),
        ("x = x[:, index]", ("x", "index")),
        ("return torch.where(mask, x,", ("mask", "x")),
        ("this is no python", ()),
    ],
)
def test_the_variables_that_a_line_reads(text: str, expected: tuple[str, ...]) -> None:
    assert read_names(text) == expected


@pytest.mark.parametrize(
    ("text", "attribute", "expected"),
    [
        ("x = self.attn(x, mask)", "attn", ("x", "mask")),
        ("x = self.attn(x, mask=bias)", "attn", ("x", "bias")),
        ("x = self.attn(self.norm(x), mask)", "attn", ("", "mask")),
        ("x = layer(x, mask)", "0", ("x", "mask")),
        ("x = self.layers[0](x)", "0", ("x",)),
        ("x = self.attn(x, **options)", "attn", ()),
        ("x = self.attn(", "attn", ()),
        ("x = x + 1", "attn", ()),
    ],
)
def test_the_variables_passed_to_a_module(text: str, attribute: str, expected: tuple[str, ...]) -> None:
    assert call_arguments(text, attribute) == expected


def test_a_line_with_more_in_it_stands_for_more_operations() -> None:
    assert operations("x = y") < operations("x = f(y)") < operations("x = f(y) + g(z[0])")


def test_a_line_that_cannot_be_read_may_stand_for_many() -> None:
    assert operations("x = f(y for") == 8


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["x = self._mix(x)", "return x + 1"], ("x",)),
        (["x = self._mix(x)", "y = x + 1"], ("y",)),
        (["x = self._mix(x)", "x.relu_()"], ()),
        (["return x"], ()),
        ([], ()),
    ],
)
def test_what_a_function_returns_is_named_by_its_caller(lines: list[str], expected: tuple[str, ...]) -> None:
    assert statement_targets(tuple(Line("net.py", 1, "forward", text) for text in lines)) == expected


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("layers", "layer"), ("blocks", "block"), ("entries", "entry"), ("boxes", "box"), ("branches", "branch"),
        ("classes", "class"), ("layer", "block"), ("h", "layer"), ("conv", "each_conv"), ("pass", "each_pass"),
        ("classes", "class"),
    ],
)  # fmt: skip
def test_one_of_many(many: str, one: str) -> None:
    assert singular(many) == one


@pytest.mark.parametrize(
    ("text", "name"),
    [("out_proj", "OutProj"), ("conv1", "Conv1"), ("a-b", "AB"), ("Net", "Net"), ("0", "Module0"), ("my net", "MyNet")],
)
def test_a_text_as_a_class_name(text: str, name: str) -> None:
    assert class_name(text) == name


@pytest.mark.parametrize("text", ["class", "1x", "a-b", "a b", "x; import os", "", "é\n"])
def test_what_is_no_name_of_anything(text: str) -> None:
    assert not is_attribute(text) and not is_name(text)


@pytest.mark.parametrize("text", ["self", "torch", "F", "nn", "None", "range", "x" * 60])
def test_what_is_no_name_of_a_variable(text: str) -> None:
    assert not is_name(text)
