"""Every fixture, converted without OneFlow, is loaded by real OneFlow with every bit in place."""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from comparison import CASES, assert_same_bits, case_id, entry_bytes, everything, flow_bytes

import torch2flow
from torch2flow.checkpoints.oneflow.dtypes import DATA_TYPES
from torch2flow.checkpoints.pytorch import CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.writing import ConversionPlan, Options, make_plan
from torch2flow.conversion import FORMATS


def leaves(plan: ConversionPlan, made: Any) -> list[tuple[str, Tensor, Any]]:
    """Each tensor of the plan's tree and what stands in its place in the loaded object."""
    pairs: list[tuple[str, Tensor, Any]] = []

    def walk(path: str, ours: Any, theirs: Any) -> None:
        if isinstance(ours, TensorRef | CompositeTensor):
            pairs.append((path, ours, theirs))
        elif isinstance(ours, dict):
            assert len(ours) == len(theirs), path
            for (key, item), (_, other) in zip(ours.items(), theirs.items(), strict=True):
                walk(f"{path}.{key}", item, other)
        elif isinstance(ours, list | tuple | collections.deque):
            assert len(ours) == len(theirs), path
            for number, (item, other) in enumerate(zip(ours, theirs, strict=True)):
                walk(f"{path}.{number}", item, other)

    walk("", plan.tree, made)
    return pairs


def assert_loaded(plan: ConversionPlan, made: Any, flow: ModuleType) -> None:
    """Bits, dtypes, shapes, gradients and ties of a loaded object are those of the plan."""
    objects: dict[int, Any] = {}
    for path, tensor, loaded in leaves(plan, made):
        entry = plan.entry(tensor)
        assert loaded.dtype is getattr(flow, entry.dtype.name), path
        assert tuple(loaded.shape) == entry.shape, path
        assert flow_bytes(loaded, flow) == entry_bytes(entry), path
        assert isinstance(loaded, flow.nn.Parameter) == tensor.is_parameter, path
        assert loaded.requires_grad == (tensor.requires_grad and entry.dtype.kind == "f"), path
        assert objects.setdefault(id(entry), loaded) is loaded, f"{path} is tied and came as another object"


@pytest.mark.parametrize(("folder", "name"), CASES, ids=case_id)
def test_flow_load_gives_every_bit(folder: Path, name: str, tmp_path: Path, flow: ModuleType) -> None:
    checkpoint = torch2flow.open_checkpoint(folder / name, ".")
    result = torch2flow.convert(folder / name, tmp_path / "out", everything(checkpoint))
    assert_loaded(result.plan, flow.load(str(tmp_path / "out")), flow)


@pytest.mark.parametrize(("folder", "name"), CASES, ids=case_id)
def test_the_single_file_holds_the_same(folder: Path, name: str, tmp_path: Path, flow: ModuleType) -> None:
    checkpoint = torch2flow.open_checkpoint(folder / name, ".")
    out = tmp_path / "out"
    result = torch2flow.convert(folder / name, out, everything(checkpoint), format="file")
    with out.open("rb") as stream:  # 0.9.0's flow.load reads folders only; this is what 1.x does
        assert_loaded(result.plan, pickle.load(stream)["data"], flow)


def test_a_state_dict_loads_strictly_into_the_model(tmp_path: Path, flow: ModuleType, fixtures: Path) -> None:
    torch2flow.convert(fixtures / "torch-2.13.0" / "state_dict-zip.pth", tmp_path / "out")
    loaded = flow.load(str(tmp_path / "out"))
    assert isinstance(loaded, collections.OrderedDict)
    assert loaded._metadata["bn"] == {"version": 2}


def test_the_snapshot_holds_the_same(tmp_path: Path, flow: ModuleType, fixtures: Path) -> None:
    source = fixtures / "torch-2.13.0" / "state_dict-zip.pth"
    result = torch2flow.convert(source, tmp_path / "out", format="snapshot")
    loaded = flow.load(str(tmp_path / "out"))
    assert set(loaded) == {name for entry in result.plan.entries for name in entry.names}
    for entry in result.plan.entries:
        assert flow_bytes(loaded[entry.names[0]], flow) == entry_bytes(entry)
    assert_same_bits(
        dict(sorted(torch2flow.open_checkpoint(tmp_path / "out").items())),
        dict(sorted(torch2flow.open_checkpoint(source).items())),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtype_converts_as_onefow_itself_would(dtype: str, tmp_path: Path, flow: ModuleType, fixtures: Path) -> None:
    source = fixtures / "torch-2.13.0" / "state_dict-zip.pth"
    torch2flow.convert(source, tmp_path / "plain")
    torch2flow.convert(source, tmp_path / "out", Options(dtype=dtype))
    plain, loaded = flow.load(str(tmp_path / "plain")), flow.load(str(tmp_path / "out"))
    for name, tensor in plain.items():
        wanted = tensor.to(getattr(flow, dtype)) if tensor.is_floating_point() else tensor
        assert flow_bytes(loaded[name], flow) == flow_bytes(wanted, flow), name


def test_every_dtype_of_oneflow_is_written_by_some_fixture() -> None:
    written = set()
    for folder, name in CASES:
        checkpoint = torch2flow.open_checkpoint(folder / name, ".")
        plan = make_plan(checkpoint, everything(checkpoint), FORMATS["folder"].target)
        written |= {entry.dtype.name for entry in plan.entries}
    assert written == set(DATA_TYPES)
