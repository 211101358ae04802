"""How inputs, sizes and models are written for `capture`, and what is said of mistakes; without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch2flow.errors import FormatError, UsageError
from torch2flow.proof.capture.factories import build, parse_factory
from torch2flow.proof.capture.inputs import (
    Array,
    choose_sizes,
    make_inputs,
    parse_input,
    parse_sizes,
    second_sizes,
)


def made(*texts: str, sizes: tuple[str, ...] = (), seed: int = 0) -> Any:
    entries = [parse_input(text) for text in texts]
    return make_inputs(entries, choose_sizes(entries, parse_sizes(sizes)), seed)


def test_positions_keywords_and_constants() -> None:
    inputs = made("float32[batch,3]", "mask=bool[batch,seq]", "flag=True", "int64[]:0..5")
    assert [array.values.shape for array in inputs.args] == [(2, 3), ()]
    assert set(inputs.kwargs) == {"mask", "flag"} and inputs.kwargs["flag"] is True
    assert inputs.dynamic == {0: {0: "batch"}, "mask": {0: "batch", 1: "seq"}}


def test_sizes_by_name_by_wish_and_prime() -> None:
    entries = [parse_input("float32[batch,h,w,seq,other,mine]")]
    assert choose_sizes(entries, {"mine": 16}) == {
        "batch": 2, "h": 64, "w": 96, "seq": 7, "other": 11, "mine": 16,
    }  # fmt: skip


def test_the_second_sizes_differ_from_the_first_in_every_try() -> None:
    sizes = {"batch": 2, "h": 64, "w": 96, "seq": 7}
    tries = [second_sizes(sizes, attempt) for attempt in range(3)]
    assert tries[0] == {"batch": 3, "h": 96, "w": 128, "seq": 11}
    assert all(grown[name] > sizes[name] for grown in tries for name in sizes)


@pytest.mark.parametrize(
    ("text", "dtype", "holds"),
    [
        ("float32[500]", "float32", lambda v: -6 < v.min() < 0 < v.max() < 6),
        ("float64[500]:2..3", "float64", lambda v: v.min() >= 2 and v.max() < 3),
        ("int64[500]", "int64", lambda v: set(v) == {0, 1}),
        ("int32[500]:5..9", "int32", lambda v: set(v) == {5, 6, 7, 8}),
        ("int64[4]:1", "int64", lambda v: set(v) == {1}),
        ("bool[500]", "bool", lambda v: set(v) == {True, False}),
        ("bool[4]:1", "bool", lambda v: v.all()),
        ("torch.half[4]:0.5", "float16", lambda v: set(v) == {0.5}),
        ("bfloat16[500]", "bfloat16", lambda v: v.dtype == np.float32),
        ("complex64[50]", "complex64", lambda v: v.dtype == np.complex64 and v.imag.any()),
    ],
)
def test_values(text: str, dtype: str, holds: Any) -> None:
    (array,) = made(text).args
    assert isinstance(array, Array) and array.dtype.name == dtype
    assert holds(array.values)


def test_the_seed_decides_the_values() -> None:
    first, same, other = (made("float32[8]", seed=seed).args[0].values for seed in (1, 1, 2))
    assert (first == same).all() and (first != other).any()


def test_two_inputs_alike_have_different_values() -> None:
    first, second = made("float32[8]", "float32[8]").args
    assert (first.values != second.values).any()


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6, dtype="f4").reshape(2, 3))
    inputs = made(f"{tmp_path}/x.npy[batch,_]", f"y={tmp_path}/x.npy")
    assert (inputs.args[0].values == np.arange(6).reshape(2, 3)).all()
    assert inputs.dynamic == {0: {0: "batch"}} and inputs.sizes == {"batch": 2}
    assert "y" in inputs.kwargs


def test_a_safetensors_file_gives_positions_and_keywords(tmp_path: Path) -> None:
    rows = {"input.0": [0, 8], "input.mask": [8, 16], "output.0": [16, 24]}
    header = json.dumps({n: {"dtype": "F32", "shape": [2], "data_offsets": at} for n, at in rows.items()}).encode()
    path = tmp_path / "reference.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + np.arange(6, dtype="f4").tobytes())
    inputs = made(str(path))
    assert inputs.args[0].values.tolist() == [0, 1]
    assert inputs.kwargs["mask"].values.tolist() == [2, 3], "the inputs of a recording, and nothing else of it"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("float33[2]", "no dtype 'float33'"),
        ("float32[2", "not written as one"),
        ("float32[2,-3]", "neither a size nor a name"),
        ("float32[2]:a", "neither a number nor LOW..HIGH"),
        ("float32[2]:3..3", "the end is excluded"),
        ("int64[2]:0..1..2", "neither a number nor LOW..HIGH"),
        ("bool[2]:0..2", "no range"),
        ("float32", "neither a tensor"),
        ("float32[_]", "'_' stands for"),
        ("qint8[2]", "no dtype"),
        ("nothing.npy", "not there"),
        ("x=f(1)", "neither a tensor"),
        ("", "neither a tensor"),
        ("9=float32[2]", "not written as one"),
    ],
)
def test_mistakes_in_an_input(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_input(text)


@pytest.mark.parametrize(("text", "says"), [("seq", "NAME=NUMBER"), ("seq=x", "NAME=NUMBER"), ("seq=1", "special")])
def test_mistakes_in_a_size(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_sizes([text])


def test_a_size_of_nothing_and_a_name_twice() -> None:
    with pytest.raises(UsageError, match="No input has an axis 'seq'"):
        made("float32[batch]", sizes=("seq=3",))
    with pytest.raises(UsageError, match="given twice"):
        made("x=float32[2]", "x=float32[2]")


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    (tmp_path / "broken.npy").write_bytes(b"no array")
    for text, says in [("x.npy[batch]", "1 axes"), ("x.npy[2,4]", "4 long elsewhere"), ("broken.npy", "no array")]:
        with pytest.raises(UsageError, match=says):
            made(f"{tmp_path}/{text}")


def test_factories_are_parsed_without_running_anything() -> None:
    assert parse_factory("a.b:C.d") == ("a.b", "C.d", None, {})
    assert parse_factory("a:f(1, x=[None, 'y)'], z=-2.5)") == ("a", "f", [1], {"x": [None, "y)"], "z": -2.5})
    for text in ("a", "a:", "a:b(", "a:b(x)", "a:b(*[1])", "a:b(**{})", "a:b()()", "a:b(__import__('os'))", ":b"):
        with pytest.raises(UsageError):
            parse_factory(text)


def test_building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pieces_of.py").write_text(
        "import sys\nclass A:\n    def __init__(self, n=1): self.n = n\n    made = staticmethod(lambda: A(7))\n"
        "value = A(3)\ndef boom(): raise RuntimeError('no weights')\ndef leave(): sys.exit('usage')\n"
    )
    assert build("pieces_of:A").n == 1
    assert build("pieces_of:A(n=2)").n == 2
    assert build("pieces_of:value").n == 3
    assert build("pieces_of:A.made").n == 7
    assert build(f"{tmp_path}/pieces_of.py:A(5)").n == 5
    for text, says in [
        ("pieces_of:boom", "raised RuntimeError: no weights"),
        ("pieces_of:leave", "raised SystemExit: usage"),
        ("pieces_of:bom", "did you mean boom"),
        ("pieces_off:A", "no module 'pieces_off'"),
        ("nowhere.py:A", "not there"),
        ("pieces_of:A(x=1)", "TypeError"),
    ]:
        with pytest.raises((UsageError, FormatError)) as caught:
            build(text)
        assert says in str(caught.value)


def test_the_deepest_cause_of_an_import_is_shown_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lazy_nets.py").write_text(
        "try:\n    raise RuntimeError('operator torchvision::nms does not exist')\n"
        "except RuntimeError as error:\n    raise ImportError('Could not import module BertModel') from error\n"
    )
    with pytest.raises(UsageError) as caught:
        build("lazy_nets:A")
    assert "because of RuntimeError: operator torchvision::nms does not exist" in caught.value.what
    assert "different builds" in caught.value.maybe and "by one command" in caught.value.remedy


def test_an_import_that_fails_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wants_more.py").write_text("import not_to_be_found_anywhere\n")
    (tmp_path / "misspelt.py").write_text("x = (\n")
    with pytest.raises(UsageError) as caught:
        build("wants_more:A")
    assert "Importing wants_more raised ModuleNotFoundError" in str(caught.value) and "wants_more.py:1" in str(
        caught.value
    )
    with pytest.raises(UsageError, match="SyntaxError"):
        build("misspelt:A")


# -- without PyTorch, or with one that is too old ------------------------------------------------------------


def test_without_pytorch_the_command_says_how_to_get_it(core_python: Path, run_cli: Any, tmp_path: Path) -> None:
    command = ("capture", "nets:Net", "-o", tmp_path / "net.pt2", "--input")
    code, out, err = run_cli(*command, "float32[2]", interpreter=core_python)
    assert (code, out) == (6, "") and "PyTorch is not installed" in err and "torch" in err.split("what to do:")[1]
    code, _, err = run_cli(*command, "float33[2]", interpreter=core_python)
    assert code == 2 and "float33" in err, "mistakes in the request come first"
    assert not any(tmp_path.iterdir())


def test_an_old_pytorch_is_told_apart(oneflow_python: Path, run_cli: Any, tmp_path: Path) -> None:
    code, _, err = run_cli("capture", "nets:Net", "-o", tmp_path / "net.pt2", interpreter=oneflow_python)
    assert code == 6 and "1.13.1" in err and "2.1" in err and "torch-env" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nets:Net", "-o", "net.pth"), ".pt2"),
        (("nets", "-o", "net.pt2"), "not named as one"),
        (("nets:Net", "-o", "net.pt2", "--gradients", "--reference", "none"), "part of the reference"),
        (("nets:Net",), "--output"),
    ],
)
def test_requests_that_are_refused_at_once(arguments: tuple[str, ...], says: str, run_cli: Any, tmp_path: Path) -> None:
    code, _, err = run_cli("capture", *arguments, cwd=tmp_path)
    assert code == 2 and says in err
