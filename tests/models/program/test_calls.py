"""The tree of module calls: what goes into each, what comes out, and which tensors carry a dynamic size."""

from __future__ import annotations

from typing import Any

from torch2flow.models.program import Frame, Graph, Line, Meta, Node, Ref, State, SymInt
from torch2flow.models.program.calls import Call, call_tree, is_inside, line_of, reachable

BATCH = SymInt("s0", 4)
ROOT = Frame("root", "", "net.Net")


def frames(*paths: str) -> tuple[Frame, ...]:
    """The root and the modules called within, `fc@1` for a second call of `fc`."""
    return (ROOT, *(Frame(path, path.partition("@")[0], "net.Part") for path in paths))


def node(output: str, *inputs: str, within: tuple[str, ...] = (), **more: Any) -> Node:
    arguments: dict[str, Any] = {f"x{number}": Ref(name) for number, name in enumerate(inputs)}
    return Node("aten.op.default", {**arguments, **more}, [output], frames(*within))


def graph(*nodes: Node, outputs: list[str], states: dict[str, State] | None = None, **shapes: tuple[Any, ...]) -> Graph:
    made = Graph(list(nodes), inputs=[Ref("x")], outputs=[Ref(name) for name in outputs], states=states or {})
    names = {"x", *made.states, *(name for each in nodes for name in each.outputs)}
    made.metas = {name: Meta("float32", shapes.get(name, (2,))) for name in names}
    return made


def called(root: Call) -> dict[str, tuple[list[str], list[str]]]:
    """By each call's key: its inputs and outputs."""
    return {call.frame.key: (call.inputs, call.outputs) for call in root.calls()}


def test_a_value_made_outside_is_an_input_and_one_used_outside_an_output() -> None:
    tree = call_tree(graph(node("a", "x"), node("b", "a", within=("fc",)), node("c", "b"), outputs=["c"]))
    assert (called(tree)["root"][0], called(tree)["fc"]) == (["x"], (["a"], ["b"]))


def test_what_stays_inside_is_neither() -> None:
    parts = node("a", "x", within=("fc",)), node("b", "a", within=("fc",))
    assert called(call_tree(graph(*parts, outputs=["b"])))["fc"] == (["x"], ["b"])


def test_values_pass_through_every_call_between() -> None:
    made = node("a", "x", within=("block", "block.fc"))
    used = node("b", "a", within=("other", "other.fc"))
    tree = called(call_tree(graph(made, used, outputs=["b"])))
    assert tree["block"] == tree["block.fc"] == (["x"], ["a"])
    assert tree["other"] == tree["other.fc"] == (["a"], ["b"])


def test_a_second_call_of_a_module_is_another_call() -> None:
    tree = call_tree(graph(node("a", "x", within=("fc",)), node("b", "a", within=("fc@1",)), outputs=["b"]))
    assert [(item.path, item.frame.key) for item in tree.items if isinstance(item, Call)] == [
        ("fc", "fc"),
        ("fc", "fc@1"),
    ]


def test_a_call_that_is_interrupted_is_two() -> None:
    parts = node("a", "x", within=("fc",)), node("b", "a"), node("c", "b", within=("fc",))
    tree = call_tree(graph(*parts, outputs=["c"]))
    assert len([item for item in tree.items if isinstance(item, Call)]) == 2


def test_an_output_of_the_program_leaves_every_call_it_is_made_in() -> None:
    tree = called(call_tree(graph(node("a", "x", within=("block", "block.fc")), outputs=["a"])))
    assert tree["block"][1] == tree["block.fc"][1] == ["a"]


def test_a_modules_own_weight_is_no_input() -> None:
    states = {"w": State("parameter", "fc.weight")}
    tree = called(call_tree(graph(node("a", "x", "w", within=("fc",)), outputs=["a"], states=states)))
    assert tree["fc"][0] == ["x"]


def test_the_weight_of_another_module_is_an_input() -> None:
    states = {"w": State("parameter", "embed.weight")}
    tree = called(call_tree(graph(node("a", "x", "w", within=("head",)), outputs=["a"], states=states)))
    assert tree["head"][0] == ["x", "w"]


def test_a_tied_weight_is_reached_by_the_name_within() -> None:
    states = {"e": State("parameter", "embed.weight", alias="t"), "h": State("parameter", "head.weight", alias="t")}
    made = graph(node("a", "x", "e", within=("head",)), outputs=["a"], states=states)
    assert reachable(made, "e", "head") is states["h"]
    assert called(call_tree(made))["head"][0] == ["x"]


def test_a_number_is_no_input() -> None:
    states = {"half": State("constant", "constant_0", False)}
    tree = called(call_tree(graph(node("a", "x", "half", within=("fc",)), outputs=["a"], states=states, half=())))
    assert tree["fc"][0] == ["x"]


def test_a_call_that_lacks_a_size_is_given_a_tensor_of_it() -> None:
    parts = node("a", "x"), node("b", "a", within=("fc",), size=[BATCH, 3])
    tree = called(call_tree(graph(*parts, outputs=["b"], x=(BATCH, 2))))
    assert tree["fc"][0] == ["a", "x"]


def test_a_call_that_holds_the_size_is_given_nothing_more() -> None:
    parts = node("a", "x"), node("b", "a", within=("fc",), size=[BATCH, 3])
    tree = called(call_tree(graph(*parts, outputs=["b"], x=(BATCH, 2), a=(BATCH, 2))))
    assert tree["fc"][0] == ["a"]


def test_a_size_deep_inside_is_passed_down() -> None:
    parts = node("a", "x"), node("b", "a", within=("block", "block.fc"), size=[SymInt("2 * s0", 8)])
    tree = called(call_tree(graph(*parts, outputs=["b"], x=(BATCH, 2))))
    assert tree["block"][0] == tree["block.fc"][0] == ["a", "x"]


def test_a_program_without_calls_has_a_root() -> None:
    tree = call_tree(Graph(inputs=[Ref("x")], outputs=[Ref("x")]))
    assert (tree.path, tree.items, tree.inputs) == ("", [], ["x"])


def test_the_line_of_a_call_is_that_of_its_first_node_at_its_depth() -> None:
    lines = ((Line("net.py", 3, "forward", "x = self.fc(x)"),), (Line("fc.py", 9, "forward", "return x"),))
    inner = Node("aten.op.default", {"self": Ref("x")}, ["a"], frames("fc"), lines)
    (call,) = call_tree(graph(inner, outputs=["a"])).items
    assert (line_of(call, 0), line_of(inner, 1), line_of(inner, 2)) == (lines[0][0], lines[1][0], None)


def test_a_path_is_inside_its_owner_by_whole_names() -> None:
    assert is_inside("a.b", "a") and is_inside("a", "a") and is_inside("a", "")
    assert not is_inside("ab", "a") and not is_inside("a", "a.b")
