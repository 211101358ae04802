"""Linear layers that older and decomposed programs have in pieces."""

from __future__ import annotations

from typing import Any

import pytest

from torch2flow.models.program import Graph, Meta, Node, Ref, State
from torch2flow.models.program.vocabulary import modernize


def program(*nodes: tuple[str, str, dict[str, Any]], output: str, **shapes: tuple[int, ...]) -> Graph:
    """Calls `(output, operator, arguments)` on the input `x`, the weight `w` (5 x 4) and the bias `b`."""
    sizes = {"x": (2, 4), "w": (5, 4), "b": (5,), "t": (4, 5), **shapes}
    graph = Graph([Node(f"aten.{operator}", arguments, [name]) for name, operator, arguments in nodes])
    graph.metas = {name: Meta("float32", shape) for name, shape in sizes.items()}
    graph.states = {"w": State("parameter", "fc.weight"), "b": State("parameter", "fc.bias")}
    graph.inputs, graph.outputs = [Ref("x")], [Ref(output)]
    return graph


T = ("t", "t.default", {"self": Ref("w")})
PERMUTE = ("t", "permute.default", {"self": Ref("w"), "dims": [1, 0]})
LINEAR = {"input": Ref("x"), "weight": Ref("w")}


@pytest.mark.parametrize("turn", [T, PERMUTE])
def test_addmm_with_a_turned_weight_is_linear(turn: tuple[str, str, dict[str, Any]]) -> None:
    call = ("y", "addmm.default", {"self": Ref("b"), "mat1": Ref("x"), "mat2": Ref("t")})
    (node,) = modernize(program(turn, call, output="y")).nodes
    assert (node.target, node.arguments) == ("aten.linear.default", {**LINEAR, "bias": Ref("b")})


def test_mm_with_a_turned_weight_is_linear_without_bias() -> None:
    (node,) = modernize(program(T, ("y", "mm.default", {"self": Ref("x"), "mat2": Ref("t")}), output="y")).nodes
    assert node.arguments == {**LINEAR, "bias": None}


@pytest.mark.parametrize(
    "call",
    [
        ("y", "addmm.default", {"self": Ref("b"), "mat1": Ref("x"), "mat2": Ref("t"), "alpha": 2}),
        ("y", "addmm.default", {"self": Ref("x"), "mat1": Ref("x"), "mat2": Ref("t")}),
        ("y", "mm.default", {"self": Ref("x"), "mat2": Ref("x")}),
    ],
)
def test_other_products_stay_as_they_are(call: tuple[str, str, dict[str, Any]]) -> None:
    assert modernize(program(T, call, output="y")).nodes[-1].operator == f"aten.{call[1].partition('.')[0]}"


def test_a_permutation_that_turns_nothing_is_no_turned_weight() -> None:
    same = ("t", "permute.default", {"self": Ref("w"), "dims": [0, 1]})
    graph = program(same, ("y", "mm.default", {"self": Ref("x"), "mat2": Ref("t")}), output="y")
    assert modernize(graph).nodes[-1].operator == "aten.mm"


VIEWED = [
    ("v", "view.default", {"self": Ref("x"), "size": [6, 4]}),
    T,
    ("y", "mm.default", {"self": Ref("v"), "mat2": Ref("t")}),
]


def test_the_views_around_a_product_go_away() -> None:
    back = ("z", "view.default", {"self": Ref("y"), "size": [2, 3, 5]})
    sizes = {"x": (2, 3, 4), "v": (6, 4), "y": (6, 5), "z": (2, 3, 5)}
    (node,) = modernize(program(*VIEWED, back, output="z", **sizes)).nodes
    assert (node.operator, node.arguments["input"], node.outputs) == ("aten.linear", Ref("x"), ["z"])


def test_a_view_to_another_shape_stays() -> None:
    other = ("z", "view.default", {"self": Ref("y"), "size": [3, 2, 5]})
    sizes = {"x": (2, 3, 4), "v": (6, 4), "y": (6, 5), "z": (3, 2, 5)}
    graph = modernize(program(*VIEWED, other, output="z", **sizes))
    assert [node.operator for node in graph.nodes] == ["aten.view", "aten.linear", "aten.view"]
