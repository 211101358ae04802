"""PyTorch to OneFlow and back: nothing is lost on the way, whatever the file held."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from comparison import CASES, assert_same_bits, case_id, everything
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import torch2flow
from torch2flow.checkpoints.pytorch import Checkpoint, TensorRef
from torch2flow.checkpoints.writing import Options
from torch2flow.conversion import FORMATS


def back_and_forth(
    source: Path, folder: Path, back: str, options: Options, via: str = "folder"
) -> tuple[Checkpoint, Checkpoint]:
    """The source, and what it is after a way into OneFlow's format and out again."""
    # With its model, a .pt2's weights would take the model's order, which the file does not keep.
    torch2flow.convert(source, folder / "out", options, format=via, weights_only=True)
    torch2flow.convert(folder / "out", folder / f"back.{back}", Options(key="."))
    return torch2flow.open_checkpoint(source, options.key), torch2flow.open_checkpoint(folder / f"back.{back}", ".")


@pytest.mark.parametrize("via", ["folder", "file"])
@pytest.mark.parametrize(("folder", "name"), CASES, ids=case_id)
def test_every_dense_tensor_returns_bit_for_bit(folder: Path, name: str, via: str, tmp_path: Path) -> None:
    checkpoint = torch2flow.open_checkpoint(folder / name)
    source, returned = back_and_forth(folder / name, tmp_path, "pth", everything(checkpoint), via)
    expected = {
        key: tensor
        for key, tensor in source.items()
        if isinstance(tensor, TensorRef) and not key.endswith(".step")  # OneFlow's optimizers count in a number
    }
    found = {key: tensor for key, tensor in returned.items() if key in expected}
    kept = {key: tensor for key, tensor in expected.items() if key in found}
    assert_same_bits(found, kept)
    lost = {tensor.dtype.name for key, tensor in expected.items() if key not in found}
    assert lost <= {
        "uint64",
        "bits8",
        "bits16",
        "bits1x8",
        "bits2x4",
        "bits4x2",
        "float4_e2m1fn_x2",
    }, "what OneFlow can't hold"
    for group in source.aliases:
        if all(key in found for key in group) and returned[group[0]].nbytes:
            assert any(set(group) <= set(other) for other in returned.aliases), group


def test_safetensors_returns_bit_for_bit(tmp_path: Path, fixtures: Path) -> None:
    source = fixtures / "torch-2.13.0" / "net.safetensors"
    before, after = back_and_forth(source, tmp_path, "safetensors", Options())
    assert_same_bits(dict(sorted(after.items())), dict(sorted(before.items())))


READ_BY_PYTORCH = """
import sys, torch
from safetensors.torch import load_file
before = torch.load(sys.argv[1], weights_only=False)
after = torch.load(sys.argv[2], weights_only=True)
flat = load_file(sys.argv[3])
assert list(before) == list(after) and set(before) == set(flat)
assert after._metadata == before._metadata
for name, tensor in before.items():
    for other in (after[name], flat[name]):
        assert other.dtype == tensor.dtype and torch.equal(other, tensor), name
print("equal", len(before))
"""


def test_real_pytorch_reads_what_comes_back(
    tmp_path: Path, fixtures: Path, torch_python: Path, run_python: Any
) -> None:
    source = fixtures / "torch-2.13.0" / "state_dict-zip.pth"
    torch2flow.convert(source, tmp_path / "out")
    torch2flow.convert(tmp_path / "out", tmp_path / "back.pth")
    torch2flow.convert(tmp_path / "out", tmp_path / "back.safetensors")
    printed = run_python(torch_python, READ_BY_PYTORCH, source, tmp_path / "back.pth", tmp_path / "back.safetensors")
    assert printed.startswith("equal ")


DTYPES_BY_PYTORCH = """
import sys, torch
before = torch.load(sys.argv[1], weights_only=False)
after = torch.load(sys.argv[2], weights_only=True)
def bits(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8)
def same(a, b):
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype)
        if a.numel():
            assert bits(a).equal(bits(b))
    elif isinstance(a, dict):
        for key in b:
            same(a[key], b[key])
same(before, after)
print("equal")
"""


@pytest.mark.parametrize("name", ["dtypes-zip.pth", "dtypes_untyped-zip.pth", "views-zip.pth", "parameters-zip.pth"])
def test_real_pytorch_reads_every_dtype_that_is_written(
    name: str, tmp_path: Path, fixtures: Path, torch_python: Path, run_python: Any
) -> None:
    source = fixtures / "torch-2.13.0" / name
    torch2flow.convert(source, tmp_path / "copy.pth", Options(key="."), format="pth")
    assert run_python(torch_python, DTYPES_BY_PYTORCH, source, tmp_path / "copy.pth") == "equal\n"


# -- random objects, written by the PyTorch at hand --

dimensions = st.lists(st.integers(0, 4), max_size=3)
keys = st.one_of(st.text(max_size=8), st.integers(-3, 3))
names = st.sampled_from(
    [
        "float32",
        "float64",
        "float16",
        "bfloat16",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "bool",
        "complex64",
    ]
)


@st.composite
def views(draw: st.DrawFn, torch: ModuleType, bases: list[Any]) -> Any:
    """A tensor of its own, or a view into one made before: transposed, sliced, expanded, conjugated."""
    if not bases or draw(st.booleans()):
        shape = draw(dimensions)
        bases.append((torch.randn(shape) * 50).to(getattr(torch, draw(names))))
    tensor = draw(st.sampled_from(bases))
    for kind in draw(st.lists(st.sampled_from(["t", "slice", "expand", "conj", "same"]), max_size=2)):
        if kind == "t" and tensor.dim() > 1:
            tensor = tensor.transpose(0, 1)
        elif kind == "slice" and tensor.dim():
            tensor = tensor[draw(st.integers(0, 2)) :: draw(st.integers(1, 3))]
        elif kind == "expand":
            tensor = tensor.unsqueeze(0).expand(draw(st.integers(1, 3)), *tensor.shape)
        elif kind == "conj" and torch.__version__ >= "2":  # 1.13 forgets the bit when it saves
            tensor = tensor.conj()
    return tensor


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3), st.tuples(inner, inner)
        ),
        max_leaves=8,
    )


def same(torch: ModuleType, a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.tolist().__repr__() == b.tolist().__repr__()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(torch, a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, [torch] * len(a), a, b))
    return bool(a == b) or (a != a and b != b)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    legacy=st.booleans(),
    via=st.sampled_from([name for name in FORMATS if name in ("folder", "file")]),
)
def test_random_objects_return(torch: ModuleType, data: st.DataObject, legacy: bool, via: str) -> None:
    bases: list[Any] = []
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.binary(max_size=5),
    )
    value = {
        "tensor": data.draw(views(torch, bases)),
        "rest": data.draw(trees(st.one_of(plain, views(torch, bases)))),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.save(value, folder / "a.pth", _use_new_zipfile_serialization=not legacy)
        back_and_forth(folder / "a.pth", folder, "pth", Options(key=".", complex="real"), via)
        returned = torch.load(folder / "back.pth")
    assert same(torch, value, returned)
