"""What hostile programs cost, what becomes of malformed ones, and that large ones convert all the same."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from torch2flow.conversion import Result, convert
from torch2flow.errors import FormatError, Torch2FlowError, UnsupportedError
from torch2flow.proof.parity.compared_models import load_package
from torch2flow.proof.parity.divergence import Divergence
from torch2flow.proof.parity.reference import RecordedCall
from torch2flow.proof.parity.smallest_case import Case, _write

from .hostile_programs import LINES, PAYLOADS, SYMBOLS
from .programs import LEAF, Program, pack, spec, tensor
from .test_generated_source import check_source

RELU = "aten.relu.default"


def linear(program: Program, path: str, value: str, number: int = 0, **options: Any) -> str:
    """Adds a Linear, and gives its result."""
    weight = program.state(f"p{number}_w", f"{path}.weight", 4, 4)
    bias = program.state(f"p{number}_b", f"{path}.bias", 4)
    given = {"input": value, "weight": weight, "bias": bias}
    modules = [*options.pop("modules", []), (path, "torch.nn.modules.linear.Linear")]
    return program.call("aten.linear.default", given, 2, 4, modules=modules, **options)


def one(target: str = RELU, shape: tuple[Any, ...] = (2, 4), **arguments: Any) -> Program:
    """A program of one call."""
    program = Program()
    program.outputs = [program.call(target, {"self": "x", **arguments}, *shape)]
    return program


def source_of(program: Program, folder: Path) -> Result:
    return convert(program.write(folder / "net.pt2"), folder / "out", dry_run=True, partial=True)


def text_of(result: Result) -> str:
    assert result.model_source is not None
    return result.model_source.text


def in_seconds(seconds: float, convert_it: Callable[[], Any]) -> str:
    """What the conversion says where it is refused; it takes at most so many seconds of the processor."""
    start = time.process_time()
    try:
        convert_it()
        said = ""
    except Torch2FlowError as error:
        said = str(error)
    assert time.process_time() - start < seconds
    return said


def called_in(stack: str) -> Program:
    """A program of one call, in modules as the text says."""
    program = one()
    program.nodes[0]["metadata"]["nn_module_stack"] = stack
    return program


DEAR: dict[str, Callable[[], Program]] = {
    "a list of 100,000 sizes": lambda: one("aten.view.default", size={"as_ints": [1] * 100_000}),
    "a list of 100,000 pads": lambda: one("aten.constant_pad_nd.default", pad={"as_ints": [0] * 100_000}),
    "a path of 100,000 parts": lambda: Program(modules=[".".join(["a"] * 100_000)], outputs=["x"]),
    "900 module calls in each other": lambda: called_in(";".join(f"k{n},{'.'.join('m' * n)},a.M" for n in range(900))),
    "100,000 brackets in a path": lambda: called_in("k,L[" + "[" * 100_000 + ",a.B"),
    "a rank of 10,000": lambda: one(shape=(1,) * 10_000),
    "a number of 1,000 digits": lambda: one("aten.add.Tensor", other={"as_int": 10**1000}),
    "a text of a megabyte": lambda: one("aten.einsum.default", equation={"as_string": "a" * 10**6}),
    "a tree of 200 levels": lambda: Program(outputs=["x"], tree=nested(200)),
    "a tree with 100,000 leaves": lambda: Program(outputs=["x"], tree=spec("builtins.list", "null", *[LEAF] * 100_000)),
}  # fmt: skip


def nested(depth: int) -> dict[str, Any]:
    tree = LEAF
    for _ in range(depth):
        tree = spec("builtins.list", "null", tree)
    return tree


@pytest.mark.parametrize("name", DEAR)
def test_what_no_model_needs_is_refused_at_once(name: str, tmp_path: Path) -> None:
    said = in_seconds(3, lambda: source_of(DEAR[name](), tmp_path))
    assert (said and "net.pt2" in said) or "aten." in said


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_no_line_of_the_author_is_dear(line: str, tmp_path: Path) -> None:
    program = Program()
    value = linear(program, "fc", "x", line=line)
    program.outputs = [program.call(RELU, {"self": value}, 2, 4, line=line)]
    assert not in_seconds(3, lambda: check_source(text_of(source_of(program, tmp_path))))


@pytest.mark.parametrize("text", ["10000000", "-10000000", "1"])
def test_no_place_of_a_write_is_dear(text: str, tmp_path: Path) -> None:
    """A dimension of ten millions is no reason to make as many slices."""
    program = Program()
    value = program.call("aten.clone.default", {"self": "x"}, 2, 4)
    place = {"dim": {"as_int": int(text)}, "index": {"as_int": 0}}
    view = program.call("aten.select.int", {"self": value, **place}, 4)
    program.call("aten.mul_.Tensor", {"self": view, "other": {"as_int": 2}}, 4)
    program.outputs = [value]
    in_seconds(3, lambda: source_of(program, tmp_path))


@pytest.mark.parametrize("text", SYMBOLS, ids=range(len(SYMBOLS)))
def test_no_size_is_dear(text: str, tmp_path: Path) -> None:
    size = {"as_expr": {"expr_str": text, "hint": {"as_int": 2}}}
    program = Program(inputs={"x": (size, 4)})
    program.outputs = [program.call("aten.view.default", {"self": "x", "size": {"as_sym_ints": [size]}}, size)]
    in_seconds(3, lambda: source_of(program, tmp_path))


def test_sizes_that_double_are_not_kept(tmp_path: Path) -> None:
    """Sixty sums of a size with itself would be a text of 2**60 letters."""
    size = {"as_expr": {"expr_str": "s0", "hint": {"as_int": 2}}}
    program = Program(inputs={"x": (size, 4)})
    program.call("aten.sym_size.int", {"self": "x", "dim": {"as_int": 0}}, name="n0")
    for number in range(60):
        given = {"as_sym_int": {"as_name": f"n{number}"}}
        program.call("_operator.mul", {"a": given, "b": given}, name=f"n{number + 1}")
    document = program.document()
    for node in document["graph_module"]["graph"]["nodes"]:
        node["outputs"] = [{"as_sym_int": {"as_name": node["outputs"][0]["as_tensor"]["name"]}}]
    document["graph_module"]["graph"]["sym_int_values"] = {"n0": size}
    path = pack(tmp_path / "net.pt2", document, {})
    in_seconds(3, lambda: convert(path, tmp_path / "out", dry_run=True))


def test_a_constant_of_one_value_repeated_is_not_spread_out(tmp_path: Path) -> None:
    program = Program()
    program.state("c", "block.c", 1, kind="buffer")
    program.outputs = [program.call("aten.add.Tensor", {"self": "x", "other": "c"}, 2, 4)]
    document = program.document()
    document["graph_module"]["signature"]["input_specs"][0]["buffer"]["persistent"] = False
    meta = {**tensor(10**10), "strides": [{"as_int": 0}]}
    path = pack(tmp_path / "net.pt2", document, {}, constants={"block.c": meta})
    assert "would take 40,000,000,000 bytes" in in_seconds(3, lambda: convert(path, tmp_path / "out", dry_run=True))


MALFORMED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a buffer that is not there is written": lambda g: g["signature"]["output_specs"].__setitem__(
        0, {"buffer_mutation": {"arg": {"name": "v0"}, "buffer_name": "b"}}),
    "a wrapper without a program": lambda g: g["graph"]["nodes"][0].update(
        target="torch.ops.higher_order.wrap_with_autocast"),
    "a record class that is no name": lambda g: g["module_call_graph"][0]["signature"].update(
        out_spec=json.dumps([1, spec("a.²", '["x"]', LEAF)])),
    "a module whose path is a number": lambda g: g["module_call_graph"].append({"fqn": 7, "signature": None}),
    "a call that only torch2flow makes": lambda g: g["graph"]["nodes"][0].update(target="torch2flow.setitem.default"),
    "a value that is used before it is made": lambda g: g["graph"]["nodes"][0]["inputs"][0].update(
        arg={"as_tensor": {"name": "v0"}}),
    "a value that is made twice": lambda g: g["graph"]["nodes"].append(g["graph"]["nodes"][0]),
    "a value that nothing makes": lambda g: g["graph"]["outputs"].__setitem__(0, {"as_tensor": {"name": "v9"}}),
    "a tensor without sizes": lambda g: g["graph"]["tensor_values"]["v0"].pop("sizes"),
    "fewer inputs than leaves": lambda g: g["signature"]["input_specs"].clear(),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_program_is_told_in_one_sentence(name: str, tmp_path: Path) -> None:
    document = one().document()
    MALFORMED[name](document["graph_module"])
    path = pack(tmp_path / "net.pt2", document, {})
    said = in_seconds(3, lambda: convert(path, tmp_path / "out", dry_run=True))
    assert said.count("\n") < 4 and "Traceback" not in said
    assert said or name == "a record class that is no name"


def test_the_operator_is_named(tmp_path: Path) -> None:
    program = one()
    program.nodes[0]["inputs"][0].pop("arg")
    with pytest.raises(FormatError, match=r"net\.pt2, operator 1: torch\.ops\.aten\.relu\.default"):
        source_of(program, tmp_path)


@pytest.mark.parametrize("weights", [{}, {"fc.weight": (4, 4)}, {"fc.weight": (4, 5), "fc.bias": (4,)},
                                     {"fc.weight": (4, 4), "fc.bias": (4,), "more": (1,)}])  # fmt: skip
def test_a_program_whose_weights_are_others_is_refused(weights: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    program = Program()
    program.outputs = [linear(program, "fc", "x")]
    path = pack(tmp_path / "net.pt2", program.document(), weights)
    with pytest.raises(FormatError, match="weights"):
        convert(path, tmp_path / "out", dry_run=True)


@pytest.mark.parametrize("name", ["train", "state_dict", "forward", "__class__", "_modules", "to_global", "__debug__"])
def test_a_name_that_every_module_has_is_refused(name: str, tmp_path: Path) -> None:
    program = Program()
    program.outputs = [linear(program, f"block.{name}", "x")]
    with pytest.raises(UnsupportedError, match=f"A part of block is called '{name}'"):
        source_of(program, tmp_path)


@pytest.mark.parametrize(
    "name",
    ["class", "__fc", "ﬁ", "µ", "a b", "1a", "self", "F", "flow", "keys", "items", "append", "super", "{i}", "'"],
)
@pytest.mark.parametrize("called", [True, False], ids=["called", "holder"])
def test_odd_names_keep_their_keys(name: str, called: bool, tmp_path: Path, flow: ModuleType) -> None:
    """The module around is called, or only holds the layer, as a ModuleDict does."""
    program = Program()
    around = [("block", "author.Block")] if called else []
    program.outputs = [linear(program, f"block.{name}", "x", modules=around)]
    result = convert(program.write(tmp_path / "net.pt2"), tmp_path / "out")
    assert result.model_source is not None
    model = load_package(tmp_path / "out").load_model()
    assert set(model.state_dict()) == {f"block.{name}.weight", f"block.{name}.bias"}
    assert model(flow.zeros(2, 4)).shape == (2, 4)


def large(kind: str, count: int) -> Program:
    """A program of so many parts."""
    program, value = Program(), "x"
    for number in range(count):
        if kind == "layers with names of their own":
            value = linear(program, f"fc{number}x", value, number, line="x = self.fc(x)")
        elif kind == "classes of their own":
            around = [(f"a{number}z", f"author.K{number}")]
            value = linear(program, f"a{number}z.fc", value, number, modules=around)
        elif kind == "values that live to the end":
            program.outputs.append(program.call(RELU, {"self": "x"}, 2, 4))
        else:
            value = program.call(RELU, {"self": value}, 2, 4, line="x = torch.relu(x)")
    program.outputs = program.outputs or [value]
    return program


KINDS = ["layers with names of their own", "classes of their own", "values that live to the end", "operators in a row"]


@pytest.mark.parametrize("kind", KINDS)
def test_time_grows_with_the_program_and_not_with_its_square(kind: str, tmp_path: Path) -> None:
    """Four times as many parts take at most eight times as long: the square would be sixteen."""
    took = []
    for count in (40, 40, 160):
        path = large(kind, count).write(tmp_path / "net.pt2")
        start = time.process_time()
        assert convert(path, tmp_path / "out", dry_run=True).model_source is not None
        took.append(time.process_time() - start)
    assert took[2] < 8 * took[1] + 1


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_script_of_the_smallest_case_holds_texts_as_data(payload: str, tmp_path: Path) -> None:
    """A recording gives the class and the path of a call, and the names of its keywords."""
    row = RecordedCall(f"a.{payload}.0#0", payload, True, [], [])
    keywords = {payload: payload, "x": [1.5, {payload: None}]}
    case = Case(row, None, "forward", ((1, 2), payload), keywords, np.zeros(2), 0.0, 0)
    flow = SimpleNamespace(Tensor=np.ndarray)
    where = Divergence("a", "a#0", "own", "", f"`a` ({payload}) is the first module that differs.", ())
    folder = tmp_path / "it's"
    folder.mkdir()
    _write(case, flow, folder, tmp_path / "case.py", where, overwrite=False)
    tree = ast.parse((tmp_path / "case.py").read_text("utf-8"))
    kinds = {type(node) for node in tree.body}
    assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.With, ast.FunctionDef}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not any("system" in each or "__import__" in each for each in called)
