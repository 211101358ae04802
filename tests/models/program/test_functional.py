"""In-place calls become new values, and every later read sees them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from torch2flow.errors import UnsupportedError
from torch2flow.models.program import Border, Dtype, Frame, Graph, Line, Meta, Node, Ref, State, Structure
from torch2flow.models.program.functional import SETITEM, STORE, functional_name, functionalize, prune
from torch2flow.models.program.views import is_contiguous

END = 2**63 - 1


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[position + 1 :]) for position in range(len(shape)))


class Draft:
    """A program as one would write it: `x = draft.input(2, 3); y = draft("add_.Tensor", (2, 3), self=x, other=1)`."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.count = 0

    def _new(self, shape: tuple[int, ...], dtype: str, name: str = "") -> Ref:
        self.count += 1
        name = name or f"v{self.count}"
        self.graph.metas[name] = Meta(dtype, shape, strides(shape))
        return Ref(name)

    def input(self, *shape: int, dtype: str = "float32") -> Ref:
        value = self._new(shape, dtype, f"x{len(self.graph.inputs) or ''}")
        self.graph.inputs.append(value)
        return value

    def buffer(self, path: str, *shape: int, dtype: str = "float32", kind: str = "buffer") -> Ref:
        value = self._new(shape, dtype, f"b_{path}")
        self.graph.states[value.name] = State(kind, path)
        return value

    def __call__(self, target: str, shape: tuple[int, ...], dtype: str = "float32", /, **arguments: Any) -> Ref:
        value = self._new(shape, dtype)
        frames, line = (Frame("k", "layer.fc", "net.Fc"),), Line("net.py", 12, "forward", "y.add_(1)")
        self.graph.nodes.append(Node(f"aten.{target}", arguments, [value.name], frames, ((line,),)))
        return value

    def several(self, target: str, count: int, shape: tuple[int, ...], /, **arguments: Any) -> list[Ref]:
        values = [self._new(shape, "float32") for _ in range(count)]
        self.graph.nodes.append(Node(f"aten.{target}", arguments, [each.name for each in values], is_list=True))
        return values

    def done(self, *outputs: Ref, numbers: dict[str, float] | None = None) -> Graph:
        self.graph.outputs = list(outputs)
        return functionalize(self.graph, numbers)


@pytest.fixture
def draft() -> Draft:
    return Draft()


def calls(graph: Graph) -> list[str]:
    return [node.operator.removeprefix("aten.").removeprefix("torch2flow.") for node in graph.nodes]


def maker(graph: Graph, value: Ref) -> Node:
    return next(node for node in graph.nodes if value.name in node.outputs)


# -- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "functional"),
    [
        ("aten.add_.Tensor", "aten.add.Tensor"),
        ("aten.zero_.default", "aten.zeros_like.default"),
        ("aten.true_divide_.Tensor", "aten.div.default"),
        ("aten.__iand__.Tensor", "aten.__and__.Tensor"),
        ("aten.add.Tensor", ""),
        ("aten.__and__.Tensor", ""),
        ("mylib.update_.default", ""),
    ],
)
def test_an_in_place_call_has_a_functional_name(target: str, functional: str) -> None:
    assert functional_name(target) == functional


# -- writes ----------------------------------------------------------------------------------------------------


def test_a_write_makes_a_new_value_that_every_handle_sees(draft: Draft) -> None:
    x = draft.input(2)
    y = draft("mul.Tensor", (2,), self=x, other=2)
    z = draft("add_.Tensor", (2,), self=y, other=1)
    graph = draft.done(y, z)
    assert calls(graph) == ["mul", "add"]
    assert graph.outputs[0] == graph.outputs[1] == Ref(graph.nodes[1].outputs[0])
    assert graph.nodes[1].in_place


def test_what_was_read_before_a_write_keeps_its_value(draft: Draft) -> None:
    x = draft.input(2)
    y = draft("mul.Tensor", (2,), self=x, other=2)
    before = draft("neg.default", (2,), self=y)
    draft("add_.Tensor", (2,), self=y, other=1)
    graph = draft.done(before, y)
    assert maker(graph, graph.outputs[0]).arguments["self"] == Ref(y.name)


def test_a_write_takes_the_dtype_of_what_it_is_written_to(draft: Draft) -> None:
    x, wide = draft.input(2, dtype="int64"), draft.input(2)
    y = draft("mul.Tensor", (2,), "int64", self=x, other=2)
    draft("mul_.Tensor", (2,), "int64", self=y, other=wide)
    graph = draft.done(y)
    assert calls(graph) == ["mul", "mul", "to"]
    assert graph.nodes[-1].arguments["dtype"] == Dtype("int64")


@pytest.mark.parametrize(
    ("view", "shape", "arguments", "back"),
    [
        ("view.default", (6,), {"size": [6]}, {"shape": [2, 3]}),
        ("flatten.using_ints", (6,), {}, {"shape": [2, 3]}),
        ("unsqueeze.default", (1, 2, 3), {"dim": 0}, {"shape": [2, 3]}),
        ("transpose.int", (3, 2), {"dim0": 0, "dim1": 1}, {"dim0": 0, "dim1": 1}),
        ("t.default", (3, 2), {}, {}),
        ("permute.default", (3, 2), {"dims": [1, 0]}, {"dims": [1, 0]}),
    ],
)
def test_a_write_through_a_view_reaches_its_base(
    view: str, shape: tuple[int, ...], arguments: dict[str, Any], back: dict[str, Any], draft: Draft
) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    piece = draft(view, shape, self=y, **arguments)
    draft("add_.Tensor", shape, self=piece, other=1)
    graph = draft.done(y)
    last = graph.nodes[-1]
    assert graph.outputs == [Ref(last.outputs[0])]
    assert {name: value for name, value in last.arguments.items() if name != "self"} == back
    assert maker(graph, last.arguments["self"]).operator == "aten.add"


def test_a_write_through_detach_keeps_the_gradient_of_its_base(draft: Draft) -> None:
    y = draft("mul.Tensor", (2, 3), self=draft.input(2, 3), other=2)
    draft("add_.Tensor", (2, 3), self=draft("detach.default", (2, 3), self=y), other=1)
    graph = draft.done(y)
    assert calls(graph) == ["mul", "detach", "add", "with_data"]
    assert graph.nodes[-1].arguments["self"] == y


def test_a_permutation_is_undone_by_its_inverse(draft: Draft) -> None:
    x = draft.input(2, 3, 4)
    y = draft("mul.Tensor", (2, 3, 4), self=x, other=2)
    piece = draft("permute.default", (4, 2, 3), self=y, dims=[-1, 0, 1])
    draft("relu_.default", (4, 2, 3), self=piece)
    assert draft.done(y).nodes[-1].arguments["dims"] == [1, 2, 0]


def test_a_view_is_taken_again_after_a_write_to_its_base(draft: Draft) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    flat = draft("view.default", (6,), self=y, size=[6])
    draft("add_.Tensor", (2, 3), self=y, other=1)
    graph = draft.done(flat)
    assert calls(graph) == ["mul", "add", "view"]


def test_a_view_of_a_view_is_taken_again(draft: Draft) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    flat = draft("view.default", (6,), self=y, size=[6])
    high = draft("unsqueeze.default", (1, 6), self=flat, dim=0)
    draft("add_.Tensor", (6,), self=flat, other=1)
    assert calls(draft.done(high)) == ["mul", "view", "add", "unsqueeze"]
    assert calls(draft.done(y)) == ["mul", "view", "add", "reshape"]


def test_one_of_several_views_is_written_where_it_lies(draft: Draft) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    _, second = draft.several("unbind.int", 2, (3,), self=y)
    draft("relu_.default", (3,), self=second)
    graph = draft.done(y)
    last = graph.nodes[-1]
    assert (last.operator, last.arguments["dim"], last.arguments["index"]) == ("aten.select_scatter", 0, 1)


def test_a_view_in_place_changes_the_handle_alone(draft: Draft) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    draft("unsqueeze_.default", (1, 2, 3), self=y, dim=0)
    assert calls(draft.done(y)) == ["mul", "unsqueeze"]


def test_a_copy_is_no_view(draft: Draft) -> None:
    x = draft.input(2)
    y = draft("mul.Tensor", (2,), self=x, other=2)
    copy = draft("clone.default", (2,), self=y)
    draft("add_.Tensor", (2,), self=y, other=1)
    graph = draft.done(copy)
    assert calls(graph) == ["mul"] and graph.outputs == [y]


def test_a_write_to_a_copy_leaves_the_original(draft: Draft) -> None:
    x = draft.input(2)
    y = draft("mul.Tensor", (2,), self=x, other=2)
    copy = draft("clone.default", (2,), self=y)
    draft("add_.Tensor", (2,), self=copy, other=1)
    assert draft.done(y).outputs == [y]


def test_a_reshape_of_what_is_not_contiguous_is_a_copy(draft: Draft) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    turned = draft("transpose.int", (3, 2), self=y, dim0=0, dim1=1)
    draft.graph.metas[turned.name] = Meta("float32", (3, 2), (1, 3))
    flat = draft("reshape.default", (6,), self=turned, shape=[6])
    draft("add_.Tensor", (6,), self=flat, other=1)
    assert draft.done(y).outputs == [y]


def test_a_cast_to_another_dtype_is_a_copy(draft: Draft) -> None:
    x = draft.input(2)
    y = draft("mul.Tensor", (2,), self=x, other=2)
    half = draft("to.dtype", (2,), "float16", self=y, dtype=Dtype("float16"))
    draft("add_.Tensor", (2,), "float16", self=half, other=1)
    assert draft.done(y).outputs == [y]


@pytest.mark.parametrize(
    ("view", "arguments"),
    [("expand.default", {"size": [2, 3]}), ("as_strided.default", {"size": [2, 3], "stride": [3, 1]})],
)
def test_a_write_that_cannot_be_followed_is_refused_with_its_place(
    view: str, arguments: dict[str, Any], draft: Draft
) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    wide = draft(view, (2, 3), self=y, **arguments)
    draft("add_.Tensor", (2, 3), self=wide, other=1)
    with pytest.raises(UnsupportedError, match=f"through aten.{view}") as raised:
        draft.done(y)
    assert raised.value.where == "layer.fc, net.py:12"


# -- buffers ---------------------------------------------------------------------------------------------------


def test_a_write_to_a_buffer_is_stored(draft: Draft) -> None:
    mean = draft.buffer("mean", 2)
    draft("mul_.Tensor", (2,), self=mean, other=0.9)
    graph = draft.done()
    assert calls(graph) == ["mul", "store"]
    assert graph.nodes[1].arguments == {"state": mean, "value": Ref(graph.nodes[0].outputs[0])}


def test_every_write_of_a_chain_is_stored(draft: Draft) -> None:
    mean = draft.buffer("mean", 2)
    scaled = draft("mul_.Tensor", (2,), self=mean, other=0.9)
    draft("add_.Tensor", (2,), self=scaled, other=1)
    assert calls(draft.done()) == ["mul", "store", "add", "store"]


def test_a_write_through_a_view_of_a_buffer_is_stored(draft: Draft) -> None:
    mean = draft.buffer("mean", 2, 3)
    flat = draft("view.default", (6,), self=mean, size=[6])
    draft("relu_.default", (6,), self=flat)
    graph = draft.done()
    assert calls(graph) == ["view", "relu", "reshape", "store"]
    assert graph.nodes[-1].arguments["state"] == mean


def test_a_buffer_that_was_written_is_read_as_written(draft: Draft) -> None:
    calls_ = draft.buffer("calls", 1)
    draft("add_.Tensor", (1,), self=calls_, other=1)
    out = draft("neg.default", (1,), self=calls_)
    graph = draft.done(out)
    assert maker(graph, out).arguments["self"] == Ref(graph.nodes[0].outputs[0])


def test_a_copy_of_a_buffer_that_is_written_stays_a_call(draft: Draft) -> None:
    mean = draft.buffer("mean", 2)
    before = draft("clone.default", (2,), self=mean)
    draft("add_.Tensor", (2,), self=mean, other=1)
    graph = draft.done(before)
    assert calls(graph) == ["clone", "add", "store"] and graph.outputs == [before]


def test_what_is_copied_from_a_buffer_stays_when_that_is_written(draft: Draft) -> None:
    """`previous.copy_(current); current.copy_(y)`: what `previous` holds then is no view of `current`."""
    previous, current, x = draft.buffer("previous", 2), draft.buffer("current", 2), draft.input(2)
    y = draft("neg.default", (2,), self=x)
    draft("copy_.default", (2,), self=previous, src=current)
    draft("copy_.default", (2,), self=current, src=y)
    graph = draft.done(draft("neg.default", (2,), self=previous))
    assert calls(graph) == ["neg", "clone", "store", "store", "neg"]
    assert graph.nodes[-1].arguments["self"] == Ref(graph.nodes[1].outputs[0])


def test_another_call_of_a_module_reads_the_buffer_that_the_first_wrote(draft: Draft) -> None:
    mean, x = draft.buffer("layer.fc.mean", 2), draft.input(2)
    draft("copy_.default", (2,), self=mean, src=draft("neg.default", (2,), self=x))
    here = draft("neg.default", (2,), self=mean)
    there = draft("neg.default", (2,), self=mean)
    written = draft.graph.nodes
    written[:] = [replace(node, no_grad=node.operator == "aten.copy_") for node in written]
    written[-1].frames = (Frame("k@1", "layer.fc", "net.Fc"),)
    graph = draft.done(here, there)
    assert maker(graph, here).arguments["self"] != mean and maker(graph, there).arguments["self"] == mean


def test_a_norm_that_nobody_reads_stays_with_what_comes_of_it(draft: Draft) -> None:
    mean, deviation, x = draft.buffer("mean", 2), draft.buffer("var", 2), draft.input(3, 2)
    out = draft("neg.default", (3, 2), self=x)
    norm = draft("batch_norm.default", (3, 2), input=x, running_mean=mean, running_var=deviation, training=False)
    draft("relu.default", (3, 2), self=norm)
    draft("exp.default", (3, 2), self=x)
    assert calls(draft.done(out)) == ["neg", "batch_norm", "relu"]


def test_a_copy_of_a_buffer_that_nothing_writes_is_the_buffer(draft: Draft) -> None:
    mean = draft.buffer("mean", 2)
    before = draft("clone.default", (2,), self=mean)
    out = draft("neg.default", (2,), self=before)
    graph = draft.done(out)
    assert calls(graph) == ["neg"] and graph.nodes[0].arguments["self"] == mean


def test_the_mutations_of_a_functional_program_are_stored(draft: Draft) -> None:
    mean = draft.buffer("mean", 2)
    new = draft("add.Tensor", (2,), self=mean, other=1)
    draft.graph.stores[mean.name] = new.name
    graph = draft.done()
    assert calls(graph) == ["add", "store"] and graph.stores == {}


def test_a_write_into_an_input_is_not_made_but_known(draft: Draft) -> None:
    x = draft.input(2)
    flat = draft("view.default", (2,), self=x, size=[2])
    draft("add_.Tensor", (2,), self=flat, other=1)
    graph = draft.done(x)
    assert list(graph.stores) == [x.name]
    assert graph.outputs != [x] and STORE not in [node.operator for node in graph.nodes]


def test_a_write_to_a_parameter_is_stored_without_a_gradient_and_read_again(draft: Draft) -> None:
    weight = draft.buffer("weight", 2, kind="parameter")
    out = draft("add_.Tensor", (2,), self=weight, other=1)
    graph = draft.done(out)
    assert calls(graph) == ["add", "store"] and graph.nodes[-1].no_grad
    assert graph.outputs == [weight]


# -- assignments into pieces -----------------------------------------------------------------------------------


def piece(draft: Draft, base: Ref, *keys: tuple[Any, ...]) -> Ref:
    """A chain of slices `(dim, start, end)` and selections `(dim, index)` of a 2 x 6 x 4 tensor."""
    for dim, *key in keys:
        if len(key) == 1:
            base = draft("select.int", (2,), self=base, dim=dim, index=key[0])
        else:
            base = draft("slice.Tensor", (2, 6, 4), self=base, dim=dim, start=key[0], end=key[1])
    return base


@pytest.mark.parametrize(
    ("chain", "keys"),
    [
        ([(1, 1, 3)], [[1, 1, 3, 1]]),
        ([(0, 0)], [[0, 0]]),
        ([(0, 0), (0, 1, 3)], [[0, 0], [1, 1, 3, 1]]),
        ([(1, 1, 3), (0, 0)], [[0, 0], [1, 1, 3, 1]]),
        ([(-1, 1, 3)], [[2, 1, 3, 1]]),
        ([(0, 0, END), (1, 1, 3)], [[1, 1, 3, 1]]),
        ([(0, 0), (0, 1), (0, 2)], [[0, 0], [1, 1], [2, 2]]),
    ],
)
def test_a_write_into_a_piece_is_an_assignment(chain: list[tuple[int, ...]], keys: list[Any], draft: Draft) -> None:
    x = draft.input(2, 6, 4)
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    draft("fill_.Scalar", (2,), self=piece(draft, base, *chain), value=3.0)
    graph = draft.done(base)
    (node,) = [node for node in graph.nodes if node.operator == SETITEM]
    assert node.arguments == {"self": base, "keys": keys, "value": 3.0}
    assert graph.outputs == [Ref(node.outputs[0])]


def test_a_slice_of_a_slice_of_one_dimension_is_no_subscript(draft: Draft) -> None:
    x = draft.input(2, 6, 4)
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    draft("fill_.Scalar", (2,), self=piece(draft, base, (1, 1, 5), (1, 0, 2)), value=3.0)
    assert calls(draft.done(base))[-2:] == ["slice_scatter", "slice_scatter"]


def test_zeros_are_assigned_as_a_number(draft: Draft) -> None:
    x = draft.input(2, 6, 4)
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    draft("zero_.default", (2,), self=piece(draft, base, (0, 0)))
    assert draft.done(base).nodes[-1].arguments["value"] == 0


def test_a_number_in_a_constant_is_assigned_as_a_number(draft: Draft) -> None:
    x, one = draft.input(2, 6, 4), draft.buffer("one", kind="constant")
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    draft("copy_.default", (2,), self=piece(draft, base, (0, 0)), src=one)
    assert draft.done(base, numbers={one.name: 7.0}).nodes[-1].arguments["value"] == 7.0


def test_what_is_assigned_is_cast_where_it_is_of_another_dtype(draft: Draft) -> None:
    x, ids = draft.input(2, 6, 4), draft.input(2, dtype="int64")
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    draft("copy_.default", (2,), self=piece(draft, base, (0, 0)), src=ids)
    assert calls(draft.done(base)) == ["mul", "select", "copy", "setitem"]


def test_adding_to_a_piece_ends_with_no_copy_onto_itself(draft: Draft) -> None:
    """`x[0] += 1` is recorded as `y = x[0]; y.add_(1); x[0].copy_(y)`."""
    x = draft.input(2, 6, 4)
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    added = draft("add_.Tensor", (2,), self=piece(draft, base, (0, 0)), other=1)
    draft("copy_.default", (2,), self=piece(draft, base, (0, 0)), src=added)
    assert calls(draft.done(base)) == ["mul", "select", "add", "setitem"]


def test_a_copy_from_one_piece_to_another_is_made(draft: Draft) -> None:
    x = draft.input(2, 6, 4)
    base = draft("mul.Tensor", (2, 6, 4), self=x, other=2)
    draft("copy_.default", (2,), self=piece(draft, base, (0, 0)), src=piece(draft, base, (0, 1)))
    graph = draft.done(base)
    assert calls(graph) == ["mul", "select", "setitem"]
    assert graph.nodes[1].arguments["index"] == 1


def test_an_assignment_into_a_buffer_is_stored(draft: Draft) -> None:
    kept = draft.buffer("kept", 2, 6, 4)
    draft("fill_.Scalar", (2,), self=piece(draft, kept, (0, 0)), value=1.0)
    assert calls(draft.done()) == ["setitem", "store"]


# -- calls that do nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("alias.default", {}),
        ("contiguous.default", {}),
        ("lift_fresh_copy.default", {}),
        ("detach_.default", {}),
        ("slice.Tensor", {"dim": 0, "start": 0, "end": END}),
        ("to.dtype", {"dtype": Dtype("float32")}),
        ("_to_copy.default", {"dtype": Dtype("float32")}),
        ("add.Tensor", {"other": 0}),
        ("mul.Tensor", {"other": 1}),
        ("div.Tensor", {"other": 1}),
        ("dropout.default", {"p": 0, "train": False}),
    ],
)
def test_a_call_that_changes_nothing_is_dropped(target: str, arguments: dict[str, Any], draft: Draft) -> None:
    x = draft.input(2)
    same = draft(target, (2,), self=x, **arguments)
    out = draft("neg.default", (2,), self=same)
    graph = draft.done(out)
    assert calls(graph) == ["neg"] and graph.nodes[0].arguments["self"] == x


@pytest.mark.parametrize(
    ("target", "dtype", "arguments"),
    [
        ("add.Tensor", "float32", {"other": 1}),
        ("mul.Tensor", "float32", {"other": 2}),
        ("to.dtype", "float16", {"dtype": Dtype("float16")}),
        ("add.Tensor", "float64", {"other": 0}),
        ("slice.Tensor", "float32", {"dim": 0, "start": 0, "end": END, "step": 2}),
        ("slice.Tensor", "float32", {"dim": 0, "start": 1, "end": END}),
        ("dropout.default", "float32", {"p": 0.1, "train": False}),
    ],
)
def test_a_call_that_changes_something_is_kept(
    target: str, dtype: str, arguments: dict[str, Any], draft: Draft
) -> None:
    x = draft.input(2)
    out = draft(target, (2,), dtype, self=x, **arguments)
    assert len(draft.done(out).nodes) == 1


def test_assertions_and_what_nobody_uses_are_dropped(draft: Draft) -> None:
    x = draft.input(2)
    draft("_assert_tensor_metadata.default", (), self=x)
    draft("neg.default", (2,), self=x)
    assert draft.done(x).nodes == []


def test_pruning_keeps_stores_and_what_they_need() -> None:
    graph = Graph([Node("aten.neg.default", {"self": Ref("x")}, ["y"])])
    graph.nodes.append(Node(f"{STORE}.default", {"state": Ref("b"), "value": Ref("y")}, []))
    assert prune(graph).nodes == graph.nodes


@pytest.mark.parametrize(
    ("shape", "strides_", "expected"),
    [
        ((2, 3), (3, 1), True),
        ((3, 2), (1, 3), False),
        ((1, 3), (99, 1), True),
        ((2, 3), (6, 1), False),
        ((), (), True),
        ((2, 1), (1, 7), True),
    ],
)
def test_contiguous_is_c_order_without_holes(shape: tuple[int, ...], strides_: tuple[int, ...], expected: bool) -> None:
    assert is_contiguous(Meta("float32", shape, strides_)) is expected


def in_branch(draft: Draft, first: int, key: str = "yes") -> None:
    """Puts the calls from this one on into a branch."""
    for node in draft.graph.nodes[first:]:
        node.frames = (*node.frames, Frame(key, "layer.fc", "", "branch"))


def test_a_branch_that_writes_outside_of_it_is_refused(draft: Draft) -> None:
    x = draft.input(2)
    y = draft("mul.Tensor", (2,), self=x, other=2)
    draft("add_.Tensor", (2,), self=y, other=1)
    in_branch(draft, 1)
    with pytest.raises(UnsupportedError, match="writes into a tensor from outside"):
        draft.done(y)


def test_what_a_branch_takes_again_is_not_there_behind_it(draft: Draft) -> None:
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    row = draft("select.int", (3,), self=y, dim=0, index=0)
    draft("add_.Tensor", (2, 3), self=y, other=1)
    inside = draft("neg.default", (3,), self=row)
    in_branch(draft, 3)
    behind = draft("sin.default", (3,), self=row)
    nodes = draft.done(inside, behind).nodes
    taken = {node.outputs[0]: node.blocks for node in nodes if node.operator == "aten.select"}
    assert sorted(taken.values()) == [(), ("yes",)]
    assert taken[nodes[-1].arguments["self"].name] == ()


def test_borders_follow_what_values_become(draft: Draft) -> None:
    """An argument is what it was when the call began, a result when it ended; what nobody needs is unknown."""
    x = draft.input(2, 3)
    y = draft("mul.Tensor", (2, 3), self=x, other=2)
    view = draft("view.default", (6,), self=y, size=[6])
    same = draft("contiguous.default", (2, 3), self=y)
    unused = draft("neg.default", (2, 3), self=x)
    outside = len(draft.graph.nodes)
    written = draft("add_.Tensor", (2, 3), self=y, other=1)
    result = draft("relu.default", (2, 3), self=same)
    for node in draft.graph.nodes[:outside]:
        node.frames = ()

    def value(ref: Ref) -> Structure:
        return Structure("value", ref.name)

    given = Structure("list", None, (), (value(y), value(same), value(unused)), 1)
    returned = Structure("tuple", None, (), (value(written), value(y), value(result)), 2)
    draft.graph.borders = {
        ("layer.fc", 0): Border((("x", given),), returned),
        ("layer.drop", 0): Border((("x", value(x)), ("y", value(y))), value(view)),
    }
    graph = draft.done(result, written)
    inner, empty = graph.borders["layer.fc", 0], graph.borders["layer.drop", 0]
    unknown = Structure("unknown", "")
    assert inner.arguments == (("x", replace(given, children=(value(y), value(y), unknown))),)
    assert inner.result == replace(returned, children=(value(written), value(written), value(result)))
    assert empty == Border((("x", value(x)), ("y", unknown)), unknown)
    assert list(inner.values()) == [y.name, y.name]
