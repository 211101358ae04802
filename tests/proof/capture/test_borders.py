"""A captured file says what crosses the border of each module call, in the program's names, and changes nothing."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import torch2flow
from torch2flow.checkpoints.opening import open_container
from torch2flow.models.codegen.package import open_program
from torch2flow.models.program import Dtype, Graph, Structure, SymInt
from torch2flow.models.program.calls import Call, call_tree
from torch2flow.models.program.functional import functionalize
from torch2flow.models.program.vocabulary import modernize
from torch2flow.proof.capture import borders, exporting

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _exports(torch: Any) -> None:
    """Borders are recorded by the tracer of torch 2.6 and newer."""
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export: these tests run where today's is")


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from torch2flow.proof.capture.factories import _import

    return _import(str(HERE / "border_nets.py"), "border_nets")


def capture(torch: Any, module: Any, path: Path, *, dynamic: bool = False) -> Graph:
    torch2flow.capture(
        module,
        (torch.ones(2, 4),),
        out=path,
        reference="none",
        overwrite=True,
        dynamic={0: ("batch",)} if dynamic else {},
    )
    program = open_program(open_container(path))
    assert program is not None
    return modernize(functionalize(program.graph))


def calls(graph: Graph) -> dict[tuple[str, int], Call]:
    return {(call.path, call.frame.number): call for call in call_tree(graph).calls()}


def text(structure: Structure) -> str:
    """A structure as one line; a number tells which object it is."""
    if structure.kind in ("value", "constant"):
        return str(structure.value)
    if structure.kind in ("none", "unknown"):
        return structure.kind
    parts = [text(child) for child in structure.children]
    if structure.names:
        parts = [f"{name}={part}" for name, part in zip(structure.names, parts, strict=True)]
    return f"{structure.kind.rpartition('.')[2]}({', '.join(parts)})"


def program_text(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = ("models/model.json", "serialized_exported_program.json")
        return archive.read(next(name for name in archive.namelist() if name.endswith(names)))


@contextlib.contextmanager
def _unrecorded(torch: Any) -> Iterator[borders.Borders]:
    yield borders.Borders(torch)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", ["Structured", "Writes", "Shared", "Leaks"])
def test_the_program_is_the_same_as_without_the_recording(
    torch: Any, nets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dynamic: bool
) -> None:
    """Names, source lines and module calls too; and no mark is left in it."""
    recorded = capture(torch, getattr(nets, name)(), tmp_path / "recorded.pt2", dynamic=dynamic)
    monkeypatch.setattr(exporting, "recorded_borders", _unrecorded)
    plain = capture(torch, getattr(nets, name)(), tmp_path / "plain.pt2", dynamic=dynamic)
    assert recorded.borders and not plain.borders
    assert program_text(tmp_path / "recorded.pt2") == program_text(tmp_path / "plain.pt2")


def test_structures_are_as_the_author_passes_them(torch: Any, nets: Any, tmp_path: Path) -> None:
    found = calls(capture(torch, nets.Structured(), tmp_path / "net.pt2"))
    first, second, pair = (found[place].border for place in (("inner", 0), ("inner", 1), ("pair", 0)))
    assert first is not None and second is not None and pair is not None
    assert {name: text(each) for name, each in first.arguments} == {
        "items": "list(x)", "table": "dict(a=mul, b=none)", "more": "tuple(x)", "flag": "False",
        "extra": "tuple(unknown, add_1)",  # nobody uses the first of the tuple
    }  # fmt: skip
    assert (set(first.keywords), first.starred) == ({"extra", "flag"}, "more")
    assert text(first.result) == "Output(states=add_5, scale=2.0)"
    assert dict(second.arguments)["kind"].value == Dtype("float32")
    assert {name: text(each) for name, each in pair.arguments} == {
        "pair": "Pair(first=add_10, second=none)", "size": "2",
    }  # fmt: skip
    assert first.result.kind == "border_nets.Output" and pair.result.kind == "border_nets.Pair"


def test_the_same_object_has_the_same_number(torch: Any, nets: Any, tmp_path: Path) -> None:
    """The list that grows between the calls and the tuple are the same objects, the copied dictionary is another."""
    found = calls(capture(torch, nets.Structured(), tmp_path / "net.pt2"))
    first, second = (dict(found["inner", number].border.arguments) for number in (0, 1))  # type: ignore[union-attr]
    assert [text(first["items"]), text(second["items"])] == ["list(x)", "list(x, add_5)"]
    same = {name for name in first.keys() & second.keys() if first[name].identity == second[name].identity}
    assert same == {"items", "extra"} and first["items"].identity != first["table"].identity


def test_a_dynamic_size_is_an_expression(torch: Any, nets: Any, tmp_path: Path) -> None:
    border = calls(capture(torch, nets.Structured(), tmp_path / "net.pt2", dynamic=True))["pair", 0].border
    assert border is not None
    size = dict(border.arguments)["size"].value
    assert isinstance(size, SymInt) and size.hint == 2


def test_what_was_written_in_place_is_another_value(torch: Any, nets: Any, tmp_path: Path) -> None:
    found = calls(capture(torch, nets.Writes(), tmp_path / "net.pt2"))
    given = [found["join", number].border.arguments[0][1] for number in range(3)]  # type: ignore[union-attr]
    assert [text(each) for each in given] == ["list(linear)", "list(add_)", "list(relu_)"]
    assert len({each.identity for each in given}) == 1


def test_shared_modules_and_pieces_without_gradients_keep_their_names(torch: Any, nets: Any, tmp_path: Path) -> None:
    graph = capture(torch, nets.Shared(), tmp_path / "net.pt2")
    found = calls(graph)
    assert all(found[place].border for place in [("", 0), ("a", 0), ("b", 0), ("b.1", 0)])
    norm = found["norm", 0].border
    assert norm is not None and text(norm.arguments[0][1]) in graph.metas
    assert text(graph.borders["same", 0].result).startswith("linear_2__"), "a value of the piece without gradients"


def test_a_tensor_that_crosses_another_way_leaves_the_call_without_a_border(
    torch: Any, nets: Any, tmp_path: Path
) -> None:
    graph = capture(torch, nets.Leaks(), tmp_path / "net.pt2")
    assert set(graph.borders) == {("", 0), ("give", 0), ("take", 0)}
    assert {place: call.border is None for place, call in calls(graph).items()} == {
        ("", 0): False, ("give", 0): True, ("take", 0): True,
    }  # fmt: skip


@pytest.mark.parametrize("method", ["structure", "tensor", "finish"])
def test_what_can_not_be_recorded_ends_nothing(
    torch: Any, nets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("not today")

    monkeypatch.setattr(borders.Trace, method, fail)
    assert capture(torch, nets.Structured(), tmp_path / "net.pt2").borders == {}


def test_the_tracer_is_afterwards_as_it_was(torch: Any, nets: Any, tmp_path: Path) -> None:
    from torch.fx.experimental.proxy_tensor import _ModuleStackTracer

    before = _ModuleStackTracer.call_module
    capture(torch, nets.Structured(), tmp_path / "net.pt2")
    assert _ModuleStackTracer.call_module is before
