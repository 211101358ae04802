"""Checkpoints cut for ranks and put together again: bit for bit, and from broken folders one clear error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torch2flow.checking import check
from torch2flow.checkpoints.diffing import diff
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.sharding.sharding_plan import ShardingPlan
from torch2flow.conversion import convert
from torch2flow.errors import FormatError, OutputError, Torch2FlowError, UnsupportedError, UsageError

PLAN = ShardingPlan({"data": 2, "tensor": -1}, [("*.w", {"tensor": 0}), ("*.v", {"data": 0, "tensor": 1})], own=2)


@pytest.fixture
def source(torch: Any, tmp_path: Path) -> Path:
    """Every kind of tensor that can be cut: strided, tied, 16-bit, of a dtype OneFlow lacks, a single number."""
    torch.manual_seed(0)
    state = {
        "0.w": torch.randn(7, 6),
        "0.v": torch.randn(6, 7).t(),
        "0.n": torch.randn(5).bfloat16(),
        "1.w": torch.arange(14, dtype=torch.int16).reshape(7, 2),
        "1.v": torch.randn(4, 3).bfloat16(),
        "count": torch.tensor(3),
        "mask": torch.tensor([True, False, True]),
        "p": torch.nn.Parameter(torch.randn(3)),
    }
    state["tied.w"] = state["0.w"]
    torch.save(state, tmp_path / "model.pth")
    return tmp_path / "model.pth"


def test_cut_merged_and_back_in_pytorch(torch: Any, source: Path, tmp_path: Path) -> None:
    result = convert(source, tmp_path / "cut", plan=PLAN, ranks=4)
    assert result.manifest["mesh"] == {"data": 2, "tensor": 2} and result.manifest["ranks"] == 4
    assert not diff(source, tmp_path / "cut").differs
    for out in ("merged", "back.pth", "back.safetensors"):
        convert(tmp_path / "cut", tmp_path / out)
        assert not diff(source, tmp_path / out).differs
    convert(tmp_path / "cut", tmp_path / "again", plan="zero", ranks=3)
    assert not diff(source, tmp_path / "again").differs
    before, after = (torch.load(path) for path in (source, tmp_path / "back.pth"))
    assert list(before) == list(after)
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) and tensor.dtype == after[name].dtype
    assert after["0.w"].data_ptr() == after["tied.w"].data_ptr() and isinstance(after["p"], torch.nn.Parameter)


def test_a_rank_loads_its_folder_alone(flow: Any, source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "cut", plan=PLAN, ranks=4)
    own = flow.load(str(tmp_path / "cut" / "rank_1"))
    whole = open_checkpoint(source)
    assert np.array_equal(own["0.w"].numpy(), whole["0.w"].numpy()[4:])
    assert np.array_equal(own["0.v"].numpy(), whole["0.v"].numpy()[:4, 3:])
    assert own["1.v"].dtype == flow.bfloat16 and tuple(own["1.v"].shape) == (2, 1)


def test_only_the_folders_that_are_needed_are_opened(source: Path, tmp_path: Path, monkeypatch: Any) -> None:
    convert(source, tmp_path / "cut", plan=PLAN, ranks=4)
    for rank in (1, 2, 3):
        if rank != 3:
            shutil.rmtree(tmp_path / "cut" / f"rank_{rank}")
    monkeypatch.setenv("RANK", "3")
    found = open_checkpoint(tmp_path / "cut")
    assert np.array_equal(found["0.v"].region((4, 3), (7, 6)).numpy(), open_checkpoint(source)["0.v"].numpy()[4:, 3:])
    assert np.array_equal(found["0.n"].numpy(), open_checkpoint(source)["0.n"].numpy())
    assert {file.path.parent.name for file in found.container.files if "rank" in str(file.path)} >= {"rank_3"}
    with pytest.raises(FormatError, match="The folder of rank 1 is missing"):
        found["1.v"].region((0, 2), (1, 3)).numpy()


def test_check_looks_at_every_rank(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "cut", plan=PLAN, ranks=4, hashing=True)
    assert not check(tmp_path / "cut").differences and not check(tmp_path / "cut", source).differences
    out = tmp_path / "cut" / "rank_2" / "weights" / "0.n" / "out"
    out.write_bytes(b"\1" + out.read_bytes()[1:])
    assert check(tmp_path / "cut").differences == ["rank 2: 0.n: its sha256 is not the manifest's"]


def test_what_can_not_be_cut_is_refused(torch: Any, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--plan cuts a OneFlow folder"):
        convert(source, tmp_path / "out.pth", plan=PLAN, ranks=4)
    with pytest.raises(UsageError, match="--ranks says"):
        convert(source, tmp_path / "out", ranks=4)
    with pytest.raises(UsageError, match="some ranks would hold nothing"):
        convert(source, tmp_path / "out", plan=PLAN, ranks=32)
    torch.save({"z": torch.zeros(3, dtype=torch.complex64), "w": torch.zeros(4, 4)}, tmp_path / "complex.pth")
    with pytest.raises(UnsupportedError, match="--complex real"):
        convert(tmp_path / "complex.pth", tmp_path / "out", plan="zero", ranks=2)
    assert not (tmp_path / "out").exists()


def test_an_output_is_replaced_only_when_asked(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "cut", plan=PLAN, ranks=4)
    with pytest.raises(OutputError, match="exists"):
        convert(source, tmp_path / "cut", plan="zero", ranks=2)
    convert(source, tmp_path / "cut", plan="zero", ranks=2, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["manifest.json", "rank_0", "rank_1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(placements=None), "placements should be a list, and is null"),
        (lambda m: m["tensors"][0].update(placed=[7, [0, 0]]), "The manifest does not place"),
        (lambda m: m["tensors"][0].update(placed=[0, [None, 5]]), "The manifest does not place"),
        (
            lambda m: m["tensors"][0].update(shape=[1 << 70, 3]),
            "tensors[0].shape[0] should be",
        ),
        (lambda m: m["tensors"][0].update(shape=[9, 6]), "not the block that the manifest says"),
        (lambda m: m["placements"].__setitem__(0, [[0, 0], [0, 0]]), "placement of a tensor can't be read"),
        (
            lambda m: m["tensors"][0].update(name=3),
            "tensors[0].name should be a text",
        ),
    ],
)
def test_a_damaged_manifest_is_one_clear_error(change: Any, said: str, source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "cut", plan=PLAN, ranks=4)
    path = tmp_path / "cut" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(Torch2FlowError) as caught:
        convert(tmp_path / "cut", tmp_path / "merged")
    assert said in str(caught.value) and not (tmp_path / "merged").exists()


def test_the_command_line(source: Path, tmp_path: Path, run_cli: Any) -> None:
    (tmp_path / "plan.toml").write_text('[mesh]\ntensor = -1\n[split]\n"*.w" = { tensor = 0 }\n')
    arguments = ["convert", source, "-o", tmp_path / "cut", "--plan", tmp_path / "plan.toml", "--ranks", "3"]
    code, out, err = run_cli(*arguments, "--dry-run")
    assert code == 0 and "cut for 3 ranks" in err and not (tmp_path / "cut").exists()
    code, out, err = run_cli(*arguments)
    assert code == 0 and "no pattern of the plan matches" in err, err
    code, out, err = run_cli("inspect", tmp_path / "cut")
    assert code == 0 and "oneflow-ranks" in out and "in pieces" in out


def test_a_model_comes_with_its_cut_weights(torch: Any, tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU()), tmp_path / "model.pth")
    convert(tmp_path / "model.pth", tmp_path / "cut", plan="zero", ranks=2)
    assert "nn.Linear(4, 6)" in (tmp_path / "cut" / "model.py").read_text()
    assert "load_model" not in (tmp_path / "cut" / "__init__.py").read_text()
    assert not diff(tmp_path / "model.pth", tmp_path / "cut").differs


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6), st.booleans()), min_size=1, max_size=4),
    first=st.integers(1, 4),
    second=st.integers(1, 3),
)
def test_any_shapes_any_mesh(
    shapes: list[tuple[int, int, bool]], first: int, second: int, torch: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    state = {
        f"t{number}": torch.randn(columns, rows).t() if turned else torch.randn(rows, columns)
        for number, (rows, columns, turned) in enumerate(shapes)
    }
    torch.save(state, folder / "model.pth")
    plan = ShardingPlan({"a": first, "b": second}, [("*", {"a": "auto", "b": "auto"})])
    convert(folder / "model.pth", folder / "cut", plan=plan)
    assert not diff(folder / "model.pth", folder / "cut").differs


def test_pytorch_loads_the_dcp_folder(torch: Any, source: Path, tmp_path: Path) -> None:
    dcp = pytest.importorskip("torch.distributed.checkpoint")
    if not hasattr(dcp, "load"):
        pytest.skip("this PyTorch is older than the format")
    convert(source, tmp_path / "cut", plan=PLAN, ranks=4)
    convert(tmp_path / "cut", tmp_path / "dcp", format="dcp")
    before = torch.load(source)
    after = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    dcp.load(after, checkpoint_id=tmp_path / "dcp")
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not diff(source, tmp_path / "dcp").differs and not check(tmp_path / "dcp", source).differences
