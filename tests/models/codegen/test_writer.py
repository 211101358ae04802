"""The file as a whole: its docstring, the imports it needs and no others, formatted, and nothing of this machine."""

from __future__ import annotations

import ast

import pytest

import torch2flow.models.lowering.operators  # noqa: F401  registers the rules
from torch2flow.errors import UnsupportedError
from torch2flow.models.codegen.operators import Missing
from torch2flow.models.codegen.writer import Source, assemble, write_source
from torch2flow.models.program import Frame, Graph, Line, Meta, Node, Ref, Tree


def program(*nodes: tuple[str, str, dict[str, object]], producer: str = "torch 2.13.0") -> Graph:
    """Calls `(output, target, arguments)` on the input `x`; the last is the output."""
    graph = Graph(producer=producer, inputs=[Ref("x")], outputs=[Ref(nodes[-1][0])], argument_names=["x"])
    graph.input_tree = Tree("tuple", (), (Tree("tuple", (), (Tree("leaf"),)), Tree("dict")))
    frames = (Frame("root", "", "net.Net"),)
    graph.nodes = [Node(target, arguments, [name], frames) for name, target, arguments in nodes]
    graph.metas = {name: Meta("float32", (2,), (1,)) for name in ("x", *(name for name, _, _ in nodes))}
    return graph


RELU = ("y", "aten.relu.default", {"self": Ref("x")})


def test_only_what_is_used_is_imported_the_standard_library_first() -> None:
    body = ast.parse("class Net(nn.Module):\n    def forward(self, x):\n        return flow.relu(x * math.pi)").body
    text = assemble('"""Net."""\n\n', body)
    assert text.startswith(
        '"""Net."""\n\nimport math\n\nimport oneflow as flow\nimport oneflow.nn as nn\n\n\nclass Net'
    )
    assert "functional" not in text and "Path" not in text


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("return (a, b)", "return a, b"),
        ("return (a)", "return a"),
        ("return (a + b) * (c + d)", "return (a + b) * (c + d)"),
        ("return ((a, b), c)", "return (a, b), c"),
        ("return ()", "return ()"),
        ("return (a, (b, c))", "return a, (b, c)"),
    ],
)
def test_a_returned_tuple_has_no_parentheses(statement: str, line: str) -> None:
    assert assemble("", ast.parse(f"def f(a, b, c, d):\n    {statement}").body).endswith(f"    {line}\n")


def test_a_long_line_is_wrapped() -> None:
    body = ast.parse(f"def f(x):\n    return flow.cat(({', '.join(['some_long_name'] * 12)}))").body
    assert max(map(len, assemble("", body).splitlines())) <= 100


def test_the_docstring_says_what_the_file_is() -> None:
    text = write_source(program(RELU), {}, "net.pt2").text
    assert text.startswith('"""Net for OneFlow.') and "from net.pt2, which torch 2.13.0 wrote" in text


@pytest.mark.parametrize("hostile", ['"""\nimport os\n"""', "\\", "x" * 1000, "a\nb", "\u202e"])
def test_what_comes_from_outside_stays_in_the_docstring(hostile: str) -> None:
    text = write_source(program(RELU, producer=hostile), {}, hostile).text
    tree = ast.parse(text)
    assert [type(node).__name__ for node in tree.body] == ["Expr", "Import", "Import", "ClassDef"]


def test_the_classs_own_name_comes_from_the_program() -> None:
    source = write_source(program(RELU), {})
    assert source.root == "Net" and "class Net(nn.Module):" in source.text


def test_an_operator_without_a_rule_is_a_call_that_raises_and_is_listed() -> None:
    source = write_source(program(("y", "mylib.own.default", {"x": Ref("x")})), {})
    assert 'missing_operator("mylib.own.default", x)' in source.text
    assert "def missing_operator(name, *tensors):" in source.text
    assert [each.target for each in source.missing] == ["mylib.own.default"]


def test_missing_operators_are_counted_and_placed() -> None:
    line = Line("net.py", 12, "forward", "x = own(x)")
    missing = [Missing("mylib.own.default", path, line, "there is no rule for it", "aten.one") for path in ("a", "b")]
    other = Missing("mylib.two.default", "", None, "it can't", "")
    assert Source("", "Net", missing=[*missing, other]).missing_lines() == [
        "mylib.own.default: 2 times, first in a (net.py:12): there is no rule for it; closest: aten.one",
        "mylib.two.default: once in the model itself: it can't",
    ]


def test_fixed_sizes_are_noted() -> None:
    assert "captured with fixed sizes (x float32[2])" in write_source(program(RELU), {}).notes[0]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("aten.dropout.default", {"input": Ref("x"), "p": 0.5, "train": False}),
        ("aten.dropout.default", {"input": Ref("x"), "p": 0.5, "train": True}),
    ],
)
def test_dropout_goes_by_the_mode_in_whatever_mode_it_was_captured(target: str, arguments: dict[str, object]) -> None:
    assert "training=self.training" in write_source(program(("y", target, arguments)), {}).text


def test_what_is_used_but_never_made_is_refused() -> None:
    graph = program(("y", "aten.add.Tensor", {"self": Ref("x"), "other": Ref("nothing")}))
    with pytest.raises((KeyError, UnsupportedError)):
        write_source(graph, {})
