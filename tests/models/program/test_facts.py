"""What `torch2flow capture` adds to a `.pt2` is read as data, and what is broken in it costs only itself."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from torch2flow.errors import FormatError
from torch2flow.models.program import (
    Border,
    Dtype,
    Frame,
    Graph,
    Node,
    Ref,
    Signature,
    State,
    Structure,
    SymInt,
)  # fmt: skip
from torch2flow.models.program.calls import call_tree
from torch2flow.models.program.facts import LARGEST, read_attributes, read_borders, read_facts, read_signatures


def test_attributes_keep_their_order_and_tell_tuples_from_lists() -> None:
    held = {"window_size": [7, 7], "kernel": {"tuple": [3, {"tuple": []}]}, "eps": 1e-5, "mode": "row", "p": None}
    found = read_attributes({"attributes": {"layer.0.block-1": held, "": {"top": {"float": "inf"}}}})
    assert list(found["layer.0.block-1"].items()) == [
        ("window_size", [7, 7]), ("kernel", (3, ())), ("eps", 1e-5), ("mode", "row"), ("p", None)
    ]  # fmt: skip
    assert found[""] == {"top": math.inf}


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": 2},
        {"float": "1"},
        {"tuple": 3},
        {"tuple": [{}]},
        "x" * 201,
        [0] * 65,
        [[[[[[[1]]]]]]],
        [{"os": 1}],
    ],
)
def test_a_value_that_is_not_plain_is_passed_over(value: Any) -> None:
    assert read_attributes({"attributes": {"layer": {"bad": value, "good": 1}}}) == {"layer": {"good": 1}}


@pytest.mark.parametrize("name", ["", "a b", "x=1", "__import__('os')", "1a"])
def test_a_name_that_is_no_identifier_is_passed_over(name: str) -> None:
    assert read_attributes({"attributes": {"layer": {name: 1}}}) == {}
    assert read_signatures({"signatures": {"nets.Net": {"constructor": [{"name": name}], "forward": []}}}) == {}
    assert read_signatures({"signatures": {"nets.Net": {"constructor": [], "forward": [name]}}}) == {}
    assert read_signatures({"signatures": {f"nets.{name}": {"constructor": [], "forward": []}}}) == {}


def test_signatures_are_names_also_where_an_older_capture_tells_defaults() -> None:
    given = [
        {"name": "dim"},
        {"name": "size", "default": {"tuple": [7, 7]}},
        {"name": "norm", "object": "torch.nn.modules.normalization.LayerNorm", "keyword_only": True, "later": 1},
    ]
    found = read_signatures({"signatures": {"nets.make.<locals>.Net": {"constructor": given, "forward": ["x"]}}})
    assert found["nets.make.<locals>.Net"] == Signature(("dim", "size", "norm"), ("x",))


@pytest.mark.parametrize("content", [1, None, [], {"a": 1}, {"a": []}, {"a": {"constructor": {}, "forward": {}}}])
def test_content_of_another_form_is_passed_over(content: Any) -> None:
    facts = {"attributes": content, "signatures": content, "later": 1}
    assert read_attributes(facts) == {} == read_signatures(facts)


def test_a_file_that_is_no_json_is_refused_and_none_or_a_huge_one_is_nothing() -> None:
    with pytest.raises(FormatError, match="JSON"):
        read_facts(b"{", "x.pt2")
    assert read_facts(b"", "x.pt2") == {} == read_facts(b" " * (LARGEST + 1), "x.pt2")
    assert read_facts(json.dumps({"attributes": {}}).encode(), "x.pt2") == {"attributes": {}}


def border(**changes: Any) -> dict[str, Any]:
    row = {
        "path": "layer", "call": 0, "keywords": ["mask"], "arguments": [["x", value("x")], ["mask", {"kind": "none"}]],
        "result": {"kind": "tuple", "items": [value("y"), {"kind": "unknown", "class": "nets.Cache"}], "identity": 3},
    }  # fmt: skip
    return {**row, **changes}


def value(name: Any) -> dict[str, Any]:
    return {"kind": "value", "value": name}


def borders(*rows: Any) -> dict[tuple[str, int], Border]:
    return read_borders({"borders": list(rows)}, lambda name: name if name in ("x", "y") else None)


def test_a_border_is_read_as_structures() -> None:
    result = Structure("tuple", None, (), (Structure("value", "y"), Structure("unknown", "nets.Cache")), 3)
    assert borders(border()) == {
        ("layer", 0): Border((("x", Structure("value", "x")), ("mask", Structure("none"))), result, ("mask",))
    }


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"kind": "constant", "value": {"tuple": [1, 2]}}, Structure("constant", (1, 2))),
        ({"kind": "constant", "value": {"os": 1}}, Structure("unknown", "")),
        ({"kind": "dtype", "value": "float32"}, Structure("constant", Dtype("float32"))),
        ({"kind": "size", "value": "2*s0 + 1", "hint": 5}, Structure("constant", SymInt("2 * s0 + 1", 5))),
        (value("gone"), Structure("unknown", "")),
        ({"kind": "unknown", "class": "import os"}, Structure("unknown", "")),
        (
            {"kind": "dict", "names": ["a b"], "items": [value("x")]},
            Structure("dict", None, ("a b",), (Structure("value", "x"),)),
        ),
    ],
)
def test_each_kind_of_leaf_is_read(row: dict[str, Any], expected: Structure) -> None:
    assert borders(border(result=row))["layer", 0].result == expected


deep: dict[str, Any] = value("x")
for _ in range(20):
    deep = {"kind": "list", "items": [deep]}


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        border(path=1),
        border(call=-1),
        border(call=True),
        border(arguments=[["x y", value("x")]]),
        border(arguments=[["x", value("x")], ["x", value("x")]]),
        border(arguments={"x": value("x")}),
        border(result=deep),
        border(result={"kind": "list", "items": [value("x")] * 5000}),
        border(result={"kind": "os.system('x')", "names": ["a"], "items": [value("x")]}),
        border(result={"kind": "nets.Out", "names": ["a b"], "items": [value("x")]}),
        border(result={"kind": "nets.Out", "names": ["a"], "items": []}),
        border(result={"kind": "size", "value": "__import__('os')"}),
        border(result={"kind": "dtype", "value": "float32; 1"}),
        border(result=value(1)),
    ],
)
def test_a_border_that_is_broken_is_passed_over(row: Any) -> None:
    assert set(borders(row, border(path="other"))) == {("other", 0)}


def test_calls_are_given_consistent_borders_alone() -> None:
    """The border of `layer` holds its input and output; a value that it does not hold leaves the call without one."""
    frames = (Frame("L__self__", "", "nets.Net"), Frame("L__self__layer", "layer", "nets.Layer"))
    nodes = [
        Node("aten.add.Tensor", {"self": Ref("x"), "other": Ref("p_w")}, ["a"], frames),
        Node("aten.mul.Tensor", {"self": Ref("a"), "other": Ref("x")}, ["y"], frames[:1]),
    ]
    graph = Graph(nodes, {}, {"p_w": State("parameter", "w")}, [Ref("x")], [Ref("y")])

    def found(given: str, result: str) -> Border | None:
        graph.borders = {("layer", 0): Border((("x", Structure("value", given)),), Structure("value", result))}
        return call_tree(graph).items[0].border  # type: ignore[union-attr]

    assert found("x", "a") == graph.borders["layer", 0]
    assert found("p_w", "a") is None and found("x", "x") is None


def test_dtypes_in_borders_follow_the_program() -> None:
    graph = Graph(borders={("", 0): Border((("kind", Structure("constant", Dtype("float16"))),), Structure("none"))})
    changed = graph.retyped({"float16": "float32"}).borders["", 0]
    assert changed.arguments[0][1].value == Dtype("float32")
