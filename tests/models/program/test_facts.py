"""What `torch2flow capture` adds to a `.pt2` is read as data, and what is broken in it costs only itself."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from torch2flow.errors import FormatError
from torch2flow.models.program import Parameter, Signature, Symbol
from torch2flow.models.program.facts import LARGEST, read_attributes, read_facts, read_signatures


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


def test_signatures_tell_defaults_that_are_plain_from_others() -> None:
    given = [
        {"name": "dim"},
        {"name": "size", "default": {"tuple": [7, 7]}},
        {"name": "norm", "object": "torch.nn.modules.normalization.LayerNorm", "keyword_only": True, "later": 1},
        {"name": "act", "object": "no name; import os"},
    ]
    found = read_signatures({"signatures": {"nets.make.<locals>.Net": {"constructor": given, "forward": ["x"]}}})
    assert found["nets.make.<locals>.Net"] == Signature(
        (
            Parameter("dim"),
            Parameter("size", False, (7, 7)),
            Parameter("norm", False, Symbol("object", "torch.nn.modules.normalization.LayerNorm"), True),
            Parameter("act", False, Symbol("object", "")),
        ),
        ("x",),
    )


@pytest.mark.parametrize("content", [1, None, [], {"a": 1}, {"a": []}, {"a": {"constructor": {}, "forward": {}}}])
def test_content_of_another_form_is_passed_over(content: Any) -> None:
    facts = {"attributes": content, "signatures": content, "later": 1}
    assert read_attributes(facts) == {} == read_signatures(facts)


def test_a_file_that_is_no_json_is_refused_and_none_or_a_huge_one_is_nothing() -> None:
    with pytest.raises(FormatError, match="JSON"):
        read_facts(b"{", "x.pt2")
    assert read_facts(b"", "x.pt2") == {} == read_facts(b" " * (LARGEST + 1), "x.pt2")
    assert read_facts(json.dumps({"attributes": {}}).encode(), "x.pt2") == {"attributes": {}}
