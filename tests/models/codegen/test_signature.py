"""The root's `forward`: its parameters, nested inputs taken apart, outputs put together."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from torch2flow.models.codegen.literals import literal
from torch2flow.models.codegen.signature import InputNames, records, returned
from torch2flow.models.program import Graph, Ref, Tree

LEAF = Tree("leaf")


def signature(
    positional: list[Tree], inputs: list[Any], names: list[str] | None = None, **keywords: Tree
) -> tuple[str, list[str]]:
    """The parameters as source, and the statements that take them apart."""
    tree = Tree(
        "tuple", (), (Tree("tuple", (), tuple(positional)), Tree("dict", tuple(keywords), tuple(keywords.values())))
    )
    made = InputNames(Graph(inputs=inputs, input_tree=tree, argument_names=names or []))
    ast.fix_missing_locations(made.arguments)
    return ast.unparse(made.arguments), [ast.unparse(ast.fix_missing_locations(each)) for each in made.unpacking]


def test_parameters_are_called_as_in_the_original() -> None:
    assert signature([LEAF, LEAF], [Ref("a"), Ref("b")], ["image", "mask"]) == ("self, image, mask", [])


def test_parameters_without_a_name_are_numbered() -> None:
    assert signature([LEAF], [Ref("a")])[0] == "self, x"
    assert signature([LEAF, LEAF], [Ref("a"), Ref("b")])[0] == "self, x1, x2"


def test_keywords_are_parameters_too() -> None:
    assert signature([LEAF], [Ref("a"), Ref("b")], ["ids"], mask=LEAF)[0] == "self, ids, mask"


def test_none_and_numbers_that_were_passed_are_defaults() -> None:
    given = [Ref("a"), None, 2.5, "sum"]
    assert signature([LEAF] * 3, given, ["x", "mask", "scale"], mode=LEAF)[0] == (
        "self, x, mask=None, scale=2.5, mode='sum'"
    )


def test_what_follows_a_default_has_one() -> None:
    assert (
        signature([LEAF] * 3, [Ref("a"), None, Ref("b")], ["x", "scale", "mask"])[0] == "self, x, scale=None, mask=None"
    )


def test_a_nested_input_is_taken_apart_by_its_keys() -> None:
    tree = Tree("dict", ("image", "boxes"), (LEAF, Tree("list", (), (LEAF, LEAF))))
    assert signature([tree], [Ref("a"), Ref("b"), Ref("c")], ["inputs"]) == (
        "self, inputs",
        ["image = inputs['image']", "boxes_0 = inputs['boxes'][0]", "boxes_1 = inputs['boxes'][1]"],
    )


def test_an_objects_fields_are_attributes() -> None:
    tree = Tree("lib.Cache", ("key_cache", "value_cache"), (LEAF, LEAF))
    assert signature([tree], [Ref("a"), Ref("b")], ["cache"])[1] == [
        "key_cache = cache.key_cache",
        "value_cache = cache.value_cache",
    ]


def test_none_within_a_nested_input_is_not_read() -> None:
    tree = Tree("dict", ("image", "mask"), (LEAF, LEAF))
    assert signature([tree], [Ref("a"), None], ["inputs"])[1] == ["image = inputs['image']"]


@pytest.mark.parametrize(
    ("keys", "names", "statements"),
    [
        (("mask",), ["inputs", "mask"], ["inputs_mask = inputs['mask']"]),
        (("inputs", "boxes"), ["inputs"], ["inputs_inputs = inputs['inputs']", "boxes = inputs['boxes']"]),
        (("a-b", "1 x"), ["inputs"], ["inputs_a_b = inputs['a-b']", "inputs_1_x = inputs['1 x']"]),
        (("flow", "nn"), ["inputs"], ["inputs_flow = inputs['flow']", "inputs_nn = inputs['nn']"]),
        (("class",), ["inputs"], ["inputs_class = inputs['class']"]),
        (("a.b", "a-b"), ["inputs"], ["inputs_a_b = inputs['a.b']", "inputs_a_b_2 = inputs['a-b']"]),
    ],
)
def test_a_key_never_takes_a_name_that_is_needed(
    keys: tuple[str, ...], names: list[str], statements: list[str]
) -> None:
    tree = Tree("dict", keys, (LEAF,) * len(keys))
    trees = [tree, *[LEAF] * (len(names) - 1)]
    values = [Ref(f"v{number}") for number in range(len(keys) + len(names) - 1)]
    assert signature(trees, values, names)[1] == statements


def test_a_parameter_is_not_called_as_what_the_source_imports() -> None:
    assert signature([LEAF, LEAF], [Ref("a"), Ref("b")], ["image", "flow"])[0] == "self, image, flow_2"


@pytest.mark.parametrize("name", ["a-b", "x=1, y", "class", ""])
def test_a_keyword_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a keyword is called"):
        signature([], [Ref("a")], **{name: LEAF})


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (LEAF, "0"),
        (Tree("tuple", (), (LEAF, LEAF)), "(0, 1)"),
        (Tree("tuple", (), (LEAF,)), "(0,)"),
        (Tree("list", (), (LEAF, Tree("tuple", (), (LEAF, LEAF)))), "[0, (1, 2)]"),
        (Tree("dict", ("out", "b c"), (LEAF, LEAF)), "{'out': 0, 'b c': 1}"),
        (Tree("lib.Output", ("logits", "hidden"), (LEAF, LEAF)), "Output(logits=0, hidden=1)"),
        (Tree("lib.Output", ("class", "b"), (LEAF, LEAF)), "(0, 1)"),
        (Tree("lib.Output", (), (LEAF, LEAF)), "(0, 1)"),
        (Tree("tuple"), "()"),
        (Tree("dict"), "{}"),
    ],
)
def test_outputs_are_nested_as_they_were(tree: Tree, text: str) -> None:
    values = [literal(number) for number in range(tree.leaves())]
    assert ast.unparse(returned(tree, values)) == text


def test_the_classes_of_outputs_are_found_at_every_depth() -> None:
    inner = Tree("lib.Inner", ("a",), (LEAF,))
    assert records(Tree("tuple", (), (LEAF, Tree("lib.Outer", ("x", "y"), (inner, LEAF))))) == {
        "Inner": ("a",),
        "Outer": ("x", "y"),
    }


@pytest.mark.parametrize("names", [("class", "b"), ("a",), ()])
def test_a_class_whose_fields_are_no_names_is_none(names: tuple[str, ...]) -> None:
    assert records(Tree("lib.Output", names, (LEAF, LEAF))) == {}
