"""Real jobs of two and four ranks: what is loaded, computed, saved, and how jobs end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ranks import run_job
from sampling import sample

from torch2flow.checkpoints.diffing import diff
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.conversion import convert

GOLDEN = Path(__file__).resolve().parent.parent / "models" / "golden"
NOISE = {"output": 1e-5, "gradient": 1e-4, "step": 1e-5}
"""Of the largest value: sums in another order, in float32; gradients of 24 sums in a row."""

DATA_TENSOR = "[mesh]\ndata = 2\ntensor = 2\n"
PLANS = {
    "data and tensor": f'preset = "gpt2"\n{DATA_TENSOR}',
    "pipeline and tensor": 'preset = "gpt2"\n[mesh]\npipeline = 2\ntensor = 2\n',
    "two dimensions": f'{DATA_TENSOR}[split]\n"*" = {{ data = "auto", tensor = "auto" }}\n',
    "convolutions": '[mesh]\ntensor = 2\n[split]\n"layer*.conv*.weight" = { tensor = 0 }\n"fc.*ight" = { tensor = 1 }',
    "stages": 'stages = [["conv1.*", "bn1.*", "layer1.*", "layer2.*"], ["*"]]\n[mesh]\npipeline = 2\n',
}
CASES = {
    2: [("gpt2", "gpt2"), ("gpt2", "zero"), ("bert", "bert"), ("bert", "pipeline"), ("t5", "t5"), ("vit_b_32", "torch"),
        ("resnet18", "convolutions"), ("resnet18", "stages"), ("mobilenet_v3_small", "data"),
        *sample([("gpt2", "pipeline"), ("t5", "data"), ("vit_b_32", "pipeline"), ("resnet18", "zero")], ())],
    4: [("gpt2", "data and tensor"), ("gpt2", "pipeline and tensor"), ("resnet18", "two dimensions"),
        ("t5", "pipeline")],
}  # fmt: skip


@pytest.fixture(scope="module")
def sources(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[int]]]:
    """A plain file, one that is transposed in memory, bfloat16, a OneFlow folder, one cut for 5 ranks, a DCP one."""
    folder = tmp_path_factory.mktemp("sources")
    torch.manual_seed(0)
    weight = torch.randn(7, 10)
    torch.save({"weight": weight}, folder / "plain.pth")
    torch.save({"weight": torch.randn(10, 7).t()}, folder / "transposed.pth")
    torch.save({"weight": weight.bfloat16()}, folder / "half.pth")
    convert(folder / "half.pth", folder / "bfloat16.safetensors")
    convert(folder / "plain.pth", folder / "folder")
    convert(folder / "half.pth", folder / "cut_bfloat16", plan="zero", ranks=5)
    convert(folder / "plain.pth", folder / "dcp", format="dcp")
    names = ("plain.pth", "transposed.pth", "bfloat16.safetensors", "folder", "cut_bfloat16", "dcp")
    return [(str(folder / name), [7, 10]) for name in names]


@pytest.mark.oneflow
@pytest.mark.parametrize("count", [2, 4])
def test_each_rank_reads_what_oneflow_would_give_it(count: int, sources: Any, oneflow_python: Path) -> None:
    ran = run_job(oneflow_python, count, "places.py", json.dumps(sources))
    assert ran.printed == [["equal"]] * count, ran.errors


# -- computing -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoints(flow: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A checkpoint for each golden model, random BatchNorm statistics included, in one form or another."""
    from importlib.util import module_from_spec, spec_from_file_location

    folder = tmp_path_factory.mktemp("checkpoints")
    numbers = np.random.default_rng(1)
    forms = {"gpt2": "gpt2.pth", "bert": "bert.safetensors", "vit_b_32": "vit.dcp", "resnet18": "resnet18_cut"}
    found = {}
    for name in dict.fromkeys(name for cases in CASES.values() for name, _ in cases):
        spec = spec_from_file_location(name, GOLDEN / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        model = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == name][-1]()
        with flow.no_grad():
            for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
                if tensor.dtype == flow.float32:
                    values = numbers.standard_normal(tuple(tensor.shape)).astype("f4") * 0.05
                    tensor.copy_(flow.tensor(np.abs(values) + 0.5 if "running_var" in key else values))
        flow.save(model.state_dict(), folder / name)
        found[name] = str(folder / name)
        if name in forms:
            found[name] = str(folder / forms[name])
            cut = {"plan": "zero", "ranks": 3} if "cut" in forms[name] else {}
            convert(folder / name, found[name], format="dcp" if "dcp" in forms[name] else "", **cut)
    return found


@pytest.mark.oneflow
@pytest.mark.parametrize("count", sample(CASES, {2}))
def test_a_model_made_global_computes_as_the_local_one(
    count: int, checkpoints: dict[str, str], oneflow_python: Path, tmp_path: Path
) -> None:
    cases = []
    for name, plan in CASES[count]:
        if plan in PLANS:
            (tmp_path / f"{plan}.toml").write_text(PLANS[plan])
            plan = str(tmp_path / f"{plan}.toml")
        cases.append((str(GOLDEN / f"{name}.py"), checkpoints[name], plan))
    ran = run_job(oneflow_python, count, "forward.py", json.dumps(cases))
    assert ran.code == 0, ran.errors
    for lines in ran.printed:
        rows = [json.loads(line) for line in lines]
        assert [row["plan"] for row in rows] == [plan for _, _, plan in cases]
        for (model, _, _), row in zip(cases, rows, strict=True):
            assert row["tensors"] > 50 and set(row["worst"]) == set(NOISE)
            for part, worst in row["worst"].items():
                assert worst <= NOISE[part], (model, row)


@pytest.mark.oneflow
@pytest.mark.parametrize("count", sample([1, 2, 4], {1, 4}))
def test_the_bytes_a_rank_reads_are_those_of_the_estimate(
    count: int, checkpoints: dict[str, str], oneflow_python: Path
) -> None:
    from torch2flow.checkpoints.sharding import read_sharding_plan
    from torch2flow.scale.estimate import estimate, sized

    source = checkpoints["gpt2"]
    expected = estimate(read_sharding_plan("gpt2"), sized(open_checkpoint(source)), count).held
    ran = run_job(oneflow_python, count, "forward.py", json.dumps([(str(GOLDEN / "gpt2.py"), source, "gpt2")]))
    assert ran.code == 0, ran.errors
    assert [json.loads(lines[0])["nbytes"] for lines in ran.printed] == expected.tolist()


@pytest.mark.oneflow
def test_a_model_larger_than_a_rank_is_built_and_loaded(torch: Any, oneflow_python: Path, tmp_path: Path) -> None:
    """272 MB of weights, of which each of four ranks holds a quarter; and beside that one tensor, of 17 MB."""
    state = {f"layers.{n}.weight": torch.full((2048, 2048), n + 0.5) for n in range(16)}
    state |= {"norm.weight": torch.ones(16), "norm.bias": torch.zeros(16), "head.weight": state["layers.0.weight"]}
    torch.save(state, tmp_path / "model.pth")
    ran = run_job(oneflow_python, 4, "building.py", str(tmp_path / "model.pth"))
    assert ran.code == 0, ran.errors
    for lines in ran.printed:
        found = json.loads(lines[0])
        assert found["values"] == 3.5
        assert found["built"] < 40e6 and found["loaded"] < 67e6 + 50e6, found


@pytest.mark.oneflow
@pytest.mark.parametrize("plan", ["zero", "data"])
def test_what_oneflow_gathered_and_saved_is_a_checkpoint_again(plan: str, oneflow_python: Path, tmp_path: Path) -> None:
    ran = run_job(oneflow_python, 2, "saving.py", str(tmp_path / "saved"), plan)
    assert ran.code == 0, ran.errors
    convert(tmp_path / "saved", tmp_path / "merged.safetensors")
    found = open_checkpoint(tmp_path / "merged.safetensors")
    assert np.array_equal(found["weight"].numpy(), np.arange(35, dtype="f4").reshape(7, 5))
    assert not diff(tmp_path / "saved", tmp_path / "merged.safetensors").differs


# -- failing -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def square(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one matrix, and some of which it can't be loaded."""
    folder = tmp_path_factory.mktemp("square")
    weight = torch.randn(1024, 1024)
    torch.save({"weight": weight}, folder / "good.pth")
    torch.save({"wait": weight}, folder / "other.pth")
    torch.save({"weight": weight.t()}, folder / "transposed.pth")
    shutil.copy(folder / "good.pth", folder / "copy.pth")
    (folder / "short.pth").write_bytes((folder / "good.pth").read_bytes()[:-100_000])
    return folder / "good.pth"


@pytest.mark.oneflow
@pytest.mark.parametrize(
    ("what", "other", "code", "said"),
    [
        ("other file", "other.pth", 2, "did you mean wait?"),
        ("other file", "short.pth", 3, "torch2flow.errors.FormatError"),
        ("other file", "nowhere.pth", 3, "The file can't be opened"),
        ("memory", "transposed.pth", 3, "Cannot allocate memory"),
        ("change", "copy.pth", 3, "The file changed while it was read"),
        ("raise", "", 1, "broken on rank 1"),
        ("exit", "", 7, ""),
        ("kill", "", 137, "rank 1 failed, by SIGKILL"),
    ],
)
def test_what_fails_on_one_rank_ends_all_with_its_error(
    what: str, other: str, code: int, said: str, square: Path, oneflow_python: Path
) -> None:
    ran = run_job(oneflow_python, 2, "failing.py", what, str(square), str(square.with_name(other or "none")))
    assert (ran.code, ran.printed) == (code, [[], []]), ran.errors
    last = ran.errors.rpartition("torch2flow launch: ")[2]
    assert last.startswith("rank 1 failed") and said in ran.errors.rpartition("\ntorch2flow launch: ")[0] + last
    assert ran.seconds < 15
    if what in ("other file", "memory", "change", "raise"):
        # OneFlow may abort the other rank before it has said so.
        assert "1 of 2 ranks could not load this checkpoint; this one could." in ran.errors or "Check f" in ran.errors
