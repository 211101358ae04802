"""The programs of four PyTorch versions say the same; a damaged one is refused in one way."""

from __future__ import annotations

import copy
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torch2flow.checkpoints.opening import open_container
from torch2flow.errors import FormatError, Torch2FlowError
from torch2flow.models.codegen.package import Program, open_program
from torch2flow.models.program import Dtype, Graph, Ref, Symbol, SymInt, Tree
from torch2flow.models.program.control_flow import COND
from torch2flow.models.program.exported import read_program
from torch2flow.models.program.functional import functionalize
from torch2flow.models.program.vocabulary import modernize

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
VERSIONS = ["2.1.2", "2.3.1", "2.8.0", "2.13.0"]
SAME = {"convolution": "conv2d", "_native_batch_norm_legit_no_training": "batch_norm"}
"""The names of the functional vocabulary, in which torch 2.1 to 2.5 export."""


@cache
def program(version: str, name: str) -> Program:
    found = open_program(open_container(FIXTURES / f"torch-{version}" / f"{name}.pt2"))
    assert found is not None
    return found


def operators(graph: Graph) -> list[str]:
    names = [node.operator.removeprefix("aten.") for node in modernize(functionalize(graph)).nodes]
    return [SAME.get(name, name) for name in names]


def paths(graph: Graph, kind: str) -> list[str]:
    """torch 2.1 put `L__self___` before every name, in the state dict too."""
    return [state.path.removeprefix("L__self___") for state in graph.states.values() if state.kind == kind]


@pytest.mark.parametrize("version", VERSIONS)
class TestVersions:
    def test_a_net_is_the_same_calls(self, version: str) -> None:
        graph = program(version, "net").graph
        assert operators(graph) == ["conv2d", "batch_norm", "relu", "mean", "mean", "linear"]

    def test_a_nets_weights_come_in_the_order_of_registration(self, version: str) -> None:
        graph = program(version, "net").graph
        layers = ("conv", "bn", "fc")
        assert paths(graph, "parameter") == [f"{layer}.{name}" for layer in layers for name in ("weight", "bias")]
        assert paths(graph, "buffer") == ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked"]

    def test_shapes_and_dtypes_are_known(self, version: str) -> None:
        graph = program(version, "net").graph
        ((image,), (out,)) = graph.inputs, graph.outputs
        assert (graph.metas[image.name].dtype, graph.metas[image.name].shape) == ("float32", (2, 3, 8, 8))
        assert graph.metas[out.name].shape == (2, 5)

    def test_every_weight_of_the_net_is_trained(self, version: str) -> None:
        graph = program(version, "net").graph
        assert all(graph.metas[name].requires_grad for name, s in graph.states.items() if s.kind == "parameter")

    def test_tied_weights_have_one_alias(self, version: str) -> None:
        graph = program(version, "tied").graph
        tied = {state.path.removeprefix("L__self___") for state in graph.states.values() if state.alias}
        assert tied == {"embed.weight", "head.weight"}
        assert len({state.alias for state in graph.states.values() if state.alias}) == 1

    def test_a_tied_net_is_the_same_calls(self, version: str) -> None:
        assert operators(program(version, "tied").graph) == ["embedding", "linear", "tanh", "linear"]

    def test_what_is_no_weight_is_not_persistent(self, version: str) -> None:
        graph = program(version, "constants").graph
        assert paths(graph, "parameter") == ["weight", "frozen", "view", "low"]
        if version != "2.1.2":  # which has buffers of all of them
            assert {s.path for s in graph.states.values() if s.persistent and s.kind != "parameter"} == {"mean"}
            assert {s.path for s in graph.states.values() if s.kind == "buffer"} == {"mean", "cache"}
        assert len(paths(graph, "constant")) == (1 if version == "2.1.2" else 2)

    def test_frozen_parameters_are_told_from_the_others(self, version: str) -> None:
        graph = program(version, "constants").graph
        trained = {s.path for name, s in graph.states.items() if graph.metas[name].requires_grad}
        assert any(path.endswith("weight") for path in trained)
        assert not any(path.endswith("frozen") for path in trained)

    def test_no_path_of_the_authors_machine_is_kept(self, version: str) -> None:
        for name in ("net", "tied", "constants"):
            for node in program(version, name).graph.nodes:
                assert not any("/" in line.file for lines in node.lines for line in lines)

    def test_every_value_is_made_before_it_is_used(self, version: str) -> None:
        for name in ("net", "tied", "constants"):
            graph = program(version, name).graph
            known = {*graph.states, *(value.name for value in graph.inputs)}
            for node in graph.nodes:
                assert known.issuperset(node.refs()), node
                known.update(node.outputs)


@pytest.mark.parametrize("version", ["2.3.1", "2.8.0", "2.13.0"])
def test_modules_and_lines_are_known(version: str) -> None:
    graph = program(version, "net").graph
    assert [node.path for node in graph.nodes] == ["conv", "bn", "act", "", "", *["fc"] * (len(graph.nodes) - 5)]
    assert all(any(line.file == "nets.py" for lines in node.lines for line in lines) for node in graph.nodes)


@pytest.mark.parametrize("version", ["2.8.0", "2.13.0"])
def test_the_names_of_arguments_and_modules_are_known(version: str) -> None:
    graph = program(version, "tied").graph
    assert graph.argument_names == ["ids"]
    assert graph.modules == ["embed", "mix", "head"]
    assert graph.producer.startswith(f"torch {version}")


def test_the_tensor_literals_that_torch_2_1_left_out_are_missed_by_name() -> None:
    with pytest.raises(FormatError, match="_tensor_constant0"):
        program("2.1.2", "constants").source()


# -- unions and values -----------------------------------------------------------------------------------------


def document(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]] | None = None, **more: Any) -> bytes:
    """A program of one call."""
    made = {"as_tensor": {"name": "out"}}
    meta = {"dtype": 7, "sizes": [{"as_int": 2}], "strides": [{"as_int": 1}], "requires_grad": False}
    body = {
        "inputs": [{"as_tensor": {"name": "x"}}],
        "outputs": [made],
        "nodes": [
            {
                "target": "torch.ops.aten.op.default",
                "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}}, *inputs],
                "outputs": outputs or [made],
                "metadata": {},
            }
        ],
        "tensor_values": {"x": meta, "out": meta},
        "sym_int_values": more.pop("sym_int_values", {}),
        "sym_float_values": more.pop("sym_float_values", {}),
    }
    signature = {
        "input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}],
        "output_specs": [{"user_output": {"arg": made}}],
    }
    return json.dumps({"graph_module": {"graph": body, "signature": signature, **more}}).encode()


def argument(union: dict[str, Any], **more: Any) -> Any:
    (node,) = read_program(document([{"name": "value", "arg": union}], **more), "here").nodes
    return node.arguments["value"]


S0 = {"as_expr": {"expr_str": "Symbol('s0')", "hint": {"as_int": 5}}}


@pytest.mark.parametrize(
    ("union", "expected"),
    [
        ({"as_none": True}, None),
        ({"as_int": 0}, 0),
        ({"as_bool": False}, False),
        ({"as_float": 0.5}, 0.5),
        ({"as_float": "Infinity"}, float("inf")),
        ({"as_float": "-Infinity"}, float("-inf")),
        ({"as_floats": ["Infinity", 1.0]}, [float("inf"), 1.0]),
        ({"as_string": "Infinity"}, "Infinity"),
        ({"as_ints": []}, []),
        ({"as_int_lists": [[1], [2, 3]]}, [[1], [2, 3]]),
        ({"as_tensors": [{"name": "x"}]}, [Ref("x")]),
        ({"as_optional_tensors": [{"as_none": True}, {"as_tensor": {"name": "x"}}]}, [None, Ref("x")]),
        ({"as_scalar_type": 7}, Dtype("float32")),
        ({"as_scalar_type": 99}, Dtype("dtype 99")),
        ({"as_device": {"type": "cuda", "index": 3}}, Symbol("device", "cuda")),
        ({"as_memory_format": 2}, Symbol("memory_format", "channels_last")),
        ({"as_complex": {"real": 1.0, "imag": "Infinity"}}, complex(1.0, float("inf"))),
        ({"as_sym_int": {"as_int": 4}}, 4),
        ({"as_sym_int": {"as_name": "s"}}, SymInt("s0", 5)),
        ({"as_sym_ints": [{"as_int": 4}, {"as_name": "s"}]}, [4, SymInt("s0", 5)]),
        ({"as_something_new": {"a": 1}}, Symbol("as_something_new", '{"a": 1}')),
    ],
)
def test_every_alternative_of_an_argument_is_read(union: dict[str, Any], expected: Any) -> None:
    assert argument(union, sym_int_values={"s": S0}) == expected


ALL = ["as_none", "as_tensor", "as_tensors", "as_int", "as_ints", "as_float", "as_bool", "as_string"]


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [("as_int", 3, 3), ("as_ints", [1, 2], [1, 2]), ("as_bool", False, False), ("as_tensor", {"name": "x"}, Ref("x"))],
)
def test_a_union_of_schema_1_lists_all_alternatives(kind: str, content: Any, expected: Any) -> None:
    assert argument({**dict.fromkeys(ALL), kind: content}) == expected


def test_a_union_of_nothing_is_none() -> None:
    assert argument(dict.fromkeys(ALL)) is None


def test_nan_is_a_number_written_as_a_string() -> None:
    value = argument({"as_float": "NaN"})
    assert value != value


def test_a_number_computed_from_a_dynamic_size_is_an_expression() -> None:
    known = {"sym_int_values": {"s": S0}, "sym_float_values": {"half": {"as_float": 2.5}}}
    assert argument({"as_sym_float": {"as_name": "half"}}, **known) == 2.5


def test_inputs_without_a_name_are_numbered() -> None:
    (node,) = read_program(document([{"name": "", "arg": {"as_int": 1}}]), "here").nodes
    assert node.arguments == {"self": Ref("x"), "arg1": 1}


def test_the_results_of_a_call_may_be_one_list() -> None:
    outputs = [{"as_tensors": [{"name": "out"}, {"name": "other"}]}]
    (node,) = read_program(document([], outputs), "here").nodes
    assert node.outputs == ["out", "other"] and node.is_list


def test_without_a_call_spec_inputs_and_outputs_are_flat() -> None:
    graph = read_program(document([]), "here")
    assert graph.input_tree == Tree("tuple", (), (Tree("tuple", (), (Tree("leaf"),)), Tree("dict")))
    assert graph.output_tree == Tree("leaf")


def test_a_wrapped_piece_is_unfolded_and_its_grad_mode_kept() -> None:
    whole = json.loads(document([]))
    body = whole["graph_module"]["graph"]
    inner = copy.deepcopy(body)
    body["nodes"] = [
        {
            "target": "torch.ops.higher_order.wrap_with_set_grad_enabled",
            "inputs": [
                {"name": "", "arg": {"as_bool": False}},
                {"name": "", "arg": {"as_graph": {"name": "submod", "graph": inner}}},
                {"name": "", "arg": {"as_tensor": {"name": "x"}}},
            ],
            "outputs": [{"as_tensor": {"name": "out"}}],
            "metadata": {},
        }
    ]
    graph = read_program(json.dumps(whole).encode(), "here")
    (node,) = graph.nodes
    assert (node.target, node.no_grad, node.arguments) == ("aten.op.default", True, {"self": Ref("x")})
    assert graph.outputs == [Ref(node.outputs[0])]
    assert node.outputs[0] in graph.metas


def inner_graph(operator: str, name: str) -> dict[str, Any]:
    """A graph inside the graph: one call on its only input."""
    body = copy.deepcopy(json.loads(document([]))["graph_module"]["graph"])
    body["nodes"] = [{**body["nodes"][0], "target": f"torch.ops.aten.{operator}.default"}]
    return {"name": "", "arg": {"as_graph": {"name": name, "graph": body}}}


def test_branches_lie_in_the_program_and_say_so() -> None:
    whole = json.loads(document([]))
    given = [
        {"name": "", "arg": {"as_tensor": {"name": "x"}}},
        inner_graph("sin", "true_graph_0"),
        inner_graph("cos", "false_graph_0"),
        {"name": "", "arg": {"as_tensors": [{"name": "x"}]}},
    ]
    whole["graph_module"]["graph"]["nodes"] = [
        {
            "target": "torch.ops.higher_order.cond",
            "inputs": given,
            "outputs": [{"as_tensor": {"name": "out"}}],
            "metadata": {"nn_module_stack": "L__self__,,net.Net;L__self__gate,gate,net.Gate"},
        }
    ]
    yes, no, cond = read_program(json.dumps(whole).encode(), "here").nodes
    assert [yes.operator, no.operator, cond.operator] == ["aten.sin", "aten.cos", COND]
    assert (
        [frame.block for frame in yes.frames] == ["", "", "branch"] and yes.path == "gate" and yes.frames != no.frames
    )
    assert yes.arguments == {"self": Ref("x")}  # by the name outside
    assert (cond.arguments["yes"], cond.arguments["no"]) == ([Ref(yes.outputs[0])], [Ref(no.outputs[0])])
    assert cond.arguments["blocks"] == [*yes.blocks, *no.blocks] and cond.outputs == ["out"]


# -- damage ----------------------------------------------------------------------------------------------------


@cache
def model_json() -> bytes:
    with zipfile.ZipFile(FIXTURES / "torch-2.13.0" / "net.pt2") as archive:
        return archive.read("net/models/model.json")


def read(text: bytes) -> Graph | None:
    """The program; None where it was refused as it should be."""
    try:
        return read_program(text, "net.pt2")
    except FormatError as error:
        assert "net.pt2" in str(error)
        return None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"3",
        b'"graph_module"',
        b'{"graph_module": null}',
        b'{"graph_module": {"graph": {"nodes": 3}}}',
        b"\xff\xfe\x00",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"graph_module": ' * 500 + b"1" + b"}" * 500,
    ],
)
def test_what_is_no_program_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        read_program(text, "net.pt2")


@pytest.mark.parametrize("part", range(1, 20))
def test_a_truncated_program_is_refused(part: int) -> None:
    text = model_json()
    with pytest.raises(FormatError):
        read_program(text[: len(text) * part // 20], "net.pt2")


def test_a_call_without_end_is_refused() -> None:
    deep: Any = {"as_none": True}
    for _ in range(50):
        deep = {"as_optional_tensor": deep}
    assert argument(deep) is None
    text = document([{"name": "value", "arg": {"as_string": "DEEP"}}])
    nested = b'{"as_optional_tensor": ' * 5000 + b'{"as_none": true}' + b"}" * 5000
    assert read(text.replace(b'{"as_string": "DEEP"}', nested)) is None


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


PLACES = places(json.loads(model_json()))[1:]
JUNK = st.sampled_from(
    [None, True, -1, 10**30, 1.5, "", "x", "Symbol(", [], {}, [[]], {"as_int": 1}, {"name": "x"}, ["x"]]
)


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.one_of(st.just(...), JUNK)), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_mutated_program_is_read_or_refused(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """`...` takes the thing away. What is read is written as source, or refused with an error of ours."""
    whole = json.loads(model_json())
    for path, junk in changes:
        place = whole
        try:
            for key in path[:-1]:
                place = place[key]
            if junk is ...:
                del place[path[-1]]
            else:
                place[path[-1]] = junk
        except (LookupError, TypeError):
            continue  # An earlier change took it away.
    graph = read(json.dumps(whole).encode())
    if graph is not None:
        try:
            Program(graph, {}, "net.pt2").source()
        except Torch2FlowError:
            pass
