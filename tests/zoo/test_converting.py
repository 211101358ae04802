"""Checkpoints of torchvision's models into flowvision's: strictly, with the same answers, and back bit for bit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sampling import sample

from torch2flow import zoo
from torch2flow.checking import check
from torch2flow.checkpoints.diffing import diff
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.conversion import convert as convert_file
from torch2flow.errors import OutputError, UnsupportedError, UsageError
from torch2flow.proof.parity import Request, verify_folder
from torch2flow.proof.parity.compared_models import load_package
from torch2flow.proof.parity.fresh_recording import Original
from torch2flow.zoo.converting import Prepared

Recorded = Callable[[str], Path]

MODELS = (
    "squeezenet1_1",
    "regnet_y_400mf",
    "swin_t",
    "convnext_tiny",
    "googlenet",
)


@pytest.mark.oneflow
@pytest.mark.torch
@pytest.mark.parametrize("name", sample(MODELS, MODELS[:2]))
def test_a_pair(name: str, recorded: Recorded, tmp_path: Path) -> None:
    source = recorded(name)
    result, prepared = zoo.convert(name, tmp_path / "out", source / "weights.pth")
    assert any("every tensor fits" in note for note in result.plan.notes)
    found = verify_folder(tmp_path / "out", source / "recording.safetensors", Request())
    assert found.faithful, found.sentence
    zoo.convert_back(name, tmp_path / "back.pth", tmp_path / "out")
    back = diff(source / "weights.pth", tmp_path / "back.pth")
    assert not check(tmp_path / "out").differences
    against = check(tmp_path / "out", source / "weights.pth")
    assert not against.differences and against.compared == len(back.rows)
    assert not back.differs and len(back.rows) == len(open_checkpoint(source / "weights.pth"))


def test_the_folder_stands_alone(
    flow: Any, recorded: Recorded, tmp_path: Path, run_python: Any, oneflow_python: Any
) -> None:
    zoo.convert("swin_t", tmp_path / "out", recorded("swin_t") / "weights.pth")
    script = (
        "import sys, oneflow as flow\n"
        "from out import build_model, load_model\n"
        "model = load_model()\n"
        "assert not model.training and 'torch2flow' not in sys.modules and 'torch' not in sys.modules\n"
        "model.load_state_dict(flow.load('out'), strict=True)\n"
        "print(tuple(model(flow.zeros(1, 3, 224, 224)).shape))\n"
    )
    assert run_python(oneflow_python, script, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}).strip() == "(1, 1000)"


def test_detection_is_compared_layer_by_layer(flow: Any, recorded: Recorded, tmp_path: Path) -> None:
    name = "fasterrcnn_mobilenet_v3_large_fpn"
    source = recorded(name)
    zoo.convert(name, tmp_path / "out", source / "weights.pth", arguments=("min_size=128", "max_size=192"))
    found = verify_folder(tmp_path / "out", source / "recording.safetensors")
    assert {found.ledger.verdict(part) for part in found.parts} <= {"identical", "within noise"}
    assert len(found.ledger.measures("own")) > 100
    assert any("nms" in reason for reason in found.ledger.failures.values())


def test_a_finetuned_checkpoint(flow: Any, torch: Any, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.vit_b_32(weights=None, image_size=96, num_classes=10).eval()
    torch.nn.init.normal_(model.heads.head.weight)
    torch.save({"epoch": 3, "model": model.state_dict()}, tmp_path / "run.ckpt")
    twin = zoo.load("vit_b_32", tmp_path / "run.ckpt", key="model")
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad(), flow.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(twin(flow.tensor(x.numpy())).numpy()), model(x), rtol=1e-4, atol=1e-4
        )


def test_what_wrappers_put_before_names_is_taken_off(flow: Any, torch: Any, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    state = torchvision.models.squeezenet1_1(weights=None, num_classes=7).state_dict()
    for prefix in ("module.", "model._orig_mod."):
        torch.save({"state_dict": {prefix + name: value for name, value in state.items()}}, tmp_path / "run.pth")
        result, prepared = zoo.convert("squeezenet1_1", tmp_path / "out", tmp_path / "run.pth", overwrite=True)
        assert "num_classes=7" in prepared.twin.arguments
        assert set(open_checkpoint(result.out)) == set(state)
        assert f"{prefix!r} at the head of the names was taken off" in result.plan.notes
        assert not check(result.out, tmp_path / "run.pth").differences


def test_a_program_and_safetensors_are_sources_too(torch: Any, recorded: Recorded, tmp_path: Path) -> None:
    source = recorded("squeezenet1_1") / "weights.pth"
    convert_file(source, tmp_path / "weights.safetensors")
    one, _ = zoo.convert("squeezenet1_1", tmp_path / "one", tmp_path / "weights.safetensors", check=False)
    two, _ = zoo.convert("squeezenet1_1", tmp_path / "two", source, check=False)
    assert not diff(tmp_path / "one", tmp_path / "two").differs and one.plan.nbytes == two.plan.nbytes


@pytest.mark.oneflow
@pytest.mark.torch
def test_older_names_in_files(tmp_path: Path, recorded: Recorded) -> None:
    name = "fasterrcnn_mobilenet_v3_large_fpn"
    now = recorded(name) / "weights.pth"
    older = tmp_path / "older.pth"  # from before 0.13 a pyramid's layers were no blocks yet
    from torch2flow.checkpoints.writing import Options

    rules = ((r"(fpn\.\w+_blocks\.\d)\.0\.", r"\1."), (r"(rpn\.head\.conv)\.0\.0\.", r"\1."))
    convert_file(now, older, Options(rename=rules))
    assert set(open_checkpoint(older)) != set(open_checkpoint(now))
    zoo.convert(name, tmp_path / "one", older)
    zoo.convert(name, tmp_path / "two", now)
    assert not diff(tmp_path / "one", tmp_path / "two").differs


@pytest.mark.oneflow
@pytest.mark.torch
def test_verify_against_records_a_pytorch_model_now(oneflow_python: Path, recorded: Recorded, tmp_path: Path) -> None:
    zoo.convert("squeezenet1_1", tmp_path / "out", recorded("squeezenet1_1") / "weights.pth")
    original = Original(
        "torchvision.models:squeezenet1_1(weights=None)",
        str(oneflow_python),
        ["float32[1,3,224,224]"],
        load_weights=True,
    )
    found = verify_folder(tmp_path / "out", None, Request(training=False, layers=False), original=original)
    assert found.faithful, found.sentence


@pytest.mark.oneflow
@pytest.mark.torch
def test_the_manifest_says_which_pair_it_is(recorded: Recorded, tmp_path: Path) -> None:
    zoo.convert("regnet_y_400mf", tmp_path / "out", recorded("regnet_y_400mf") / "weights.pth", hashing=True)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["zoo"]["name"] == "regnet_y_400mf" and manifest["zoo"]["twin"] == "regnet_y_400mf"
    assert "no padding" in manifest["model"]["notes"][0]
    assert "padding = (1, 1)" in (tmp_path / "out" / "model.py").read_text()
    assert load_package(tmp_path / "out").build_model().stem[0].padding == (1, 1)


# -- what can't be done ------------------------------------------------------------------------------------------


@pytest.mark.oneflow
@pytest.mark.torch
def test_a_checkpoint_of_another_model(recorded: Recorded, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not fit(.|\n)*missing from the checkpoint"):
        zoo.convert("resnet18", tmp_path / "out", recorded("squeezenet1_1") / "weights.pth")
    assert not (tmp_path / "out").exists()


@pytest.mark.oneflow
@pytest.mark.torch
def test_no_output_is_replaced(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError):
        zoo.convert("squeezenet1_1", tmp_path / "out", recorded("squeezenet1_1") / "weights.pth", overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_models_without_a_twin_have_another_road() -> None:
    with pytest.raises(UnsupportedError, match=r"no MaxViT(.|\n)*torch2flow capture .*maxvit_t"):
        zoo.find_twin("maxvit_t")


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(UsageError, match="resnet50"):
        zoo.find_twin("resnet_50")


@pytest.mark.oneflow
@pytest.mark.torch
def test_an_argument_is_a_plain_value(recorded: Recorded, tmp_path: Path) -> None:
    source = recorded("squeezenet1_1") / "weights.pth"
    with pytest.raises(UsageError, match="plain value"):
        zoo.convert("squeezenet1_1", tmp_path / "out", source, arguments=("version=__import__('os')",))


@pytest.mark.oneflow
@pytest.mark.torch
def test_the_command_line(run_cli: Any, recorded: Recorded, tmp_path: Path) -> None:
    weights = recorded("squeezenet1_1") / "weights.pth"
    code, _, said = run_cli("zoo", "convert", "squeezenet1_1", "-o", tmp_path / "out", "--weights", weights)
    assert code == 0 and "flowvision's squeezenet1_1" in said and "from out import load_model" in said
    code, printed, _ = run_cli(
        "zoo",
        "convert",
        "squeezenet1_1",
        "-o",
        tmp_path / "back.pth",
        "--reverse",
        "--weights",
        tmp_path / "out",
        "--json",
    )
    assert code == 0 and json.loads(printed)["format"] == "pth"
    assert run_cli("zoo", "convert", "maxvit_t", "-o", tmp_path / "x")[0] == 4
    assert run_cli("zoo", "convert", "squeezenet1_1", "-o", tmp_path / "x", "--weights", tmp_path / "no.pth")[0] in (
        2,
        6,
    )
    code, printed, _ = run_cli("zoo", "list", "swin", "--json")
    assert code == 0 and {"swin_t", "swin_v2_t"} <= {row["name"] for row in json.loads(printed)}
    assert run_cli("zoo", "list", "nothing-like-it")[0] == 2


def test_listing_needs_neither_library(core_python: Path) -> None:
    done = subprocess.run(
        [core_python, "-m", "torch2flow", "zoo", "list", "alexnet"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "keys equal" in done.stdout


def test_the_oldest_weights_of_detectors_have_norms_without_eps(flow: Any) -> None:
    twin = zoo.find_twin("retinanet_resnet50_fpn")
    model = Prepared(twin.settle(twin, {}, "COCO_V1"), None, None, ".").build()  # type: ignore[arg-type]
    assert model.backbone.body.bn1.eps == 0.0
    assert Prepared(twin, None, None, ".").build().backbone.body.bn1.eps == 1e-5  # type: ignore[arg-type]
