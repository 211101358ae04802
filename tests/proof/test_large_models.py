"""A model larger than the memory: captured without its weights, converted with them, compared layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_once import CAPTURING, made_once

from torch2flow import convert
from torch2flow.checking import check
from torch2flow.checkpoints.diffing import diff
from torch2flow.checkpoints.writing import Options
from torch2flow.errors import UsageError
from torch2flow.proof.capture.request import capture_named
from torch2flow.proof.parity import verify_folder

TINY = Path(__file__).resolve().parents[1] / "support/tiny_transformers.py"
NAMES = ("llama_half", "gpt2", "bert", "vit", "t5")


@pytest.fixture(scope="module")
def captured(torch_python: Path, run_python: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        run_python(torch_python, TINY.read_text(), folder, *(f"{name}:both" for name in NAMES))

    return made_once("large-models", [*CAPTURING, TINY, *NAMES], make, tmp_path_factory.mktemp("captured"))


@pytest.mark.parametrize("name", NAMES)
def test_source_checkpoint_and_proof_are_those_of_the_model_with_its_weights(
    name: str, flow: ModuleType, captured: Path
) -> None:
    whole, out = captured / f"{name}_whole", captured / f"{name}_flow"
    convert(whole.with_suffix(".pt2"), whole)
    convert(captured / f"{name}.pt2", out, weights=captured / name)
    expected = (whole / "model.py").read_text().replace(f"{name}_whole.pt2", f"{name}.pt2")
    assert (out / "model.py").read_text() == expected
    assert not diff(whole, out).differs and not check(out, captured / name).differences
    assert not [row for row in diff(
        captured / f"{name}_whole.reference.safetensors", captured / f"{name}.reference.safetensors"
    ).rows if row.status not in ("equal", "shape differs")]  # fmt: skip  # at which other sizes it ran
    found = verify_folder(out, captured / f"{name}.reference.safetensors")
    assert found.faithful and found.ledger.parts["weights"], found.sentence


def test_the_file_is_small_and_says_what_it_lacks(captured: Path, tmp_path: Path, run_cli: Any) -> None:
    pt2 = captured / "gpt2.pt2"
    assert pt2.stat().st_size < (captured / "gpt2_whole.pt2").stat().st_size
    with pytest.raises(UsageError, match="holds the model without its weights: 41 tensors") as error:
        convert(pt2, tmp_path / "out")
    assert "--weights FOLDER" in error.value.remedy
    with pytest.raises(UsageError, match="without its weights"):
        convert(captured / "gpt2_whole.pt2", tmp_path / "whole") and check(tmp_path / "whole", pt2)
    code, printed, _ = run_cli("inspect", pt2)
    assert code == 0 and "meta, parameter" in printed


def test_all_that_does_not_fit_is_told_at_once(captured: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The weights don't fit the model") as error:
        convert(captured / "gpt2.pt2", tmp_path / "out", weights=captured / "llama_half")
    assert "transformer.wte.weight: not in the checkpoint" in error.value.what and "and 21 more" in error.value.what
    assert "no place for" in error.value.maybe
    with pytest.raises(UsageError, match="bfloat16 in the program, float32 in the checkpoint") as error:
        convert(captured / "llama_half", tmp_path / "wide.safetensors", Options(dtype="float32"))
        convert(captured / "llama_half.pt2", tmp_path / "out", weights=tmp_path / "wide.safetensors")
    assert "--dtype" in error.value.remedy
    convert(captured / "llama_half.pt2", tmp_path / "out", Options(dtype="float32"), weights=captured / "llama_half")
    with pytest.raises(UsageError, match="under its own names"):
        convert(captured / "gpt2.pt2", tmp_path / "x", Options(rename=(("a", "b"),)), weights=captured / "gpt2")
    with pytest.raises(UsageError, match="gives an exported program its weights, and this is none"):
        convert(captured / "gpt2", tmp_path / "x", weights=captured / "gpt2")
    assert not (tmp_path / "x").exists()


def test_other_values_under_a_tied_name_are_refused(captured: Path, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    tensors: dict[str, Any] = {}
    for shard in sorted((captured / "gpt2").glob("*.safetensors")):
        tensors.update(load_file(shard))
    head, embedding = "lm_head.weight", "transformer.wte.weight"
    save_file({**tensors, head: tensors[embedding].copy()}, tmp_path / "same.safetensors")
    convert(captured / "gpt2.pt2", tmp_path / "out", weights=tmp_path / "same.safetensors")
    ties = json.loads((tmp_path / "out/manifest.json").read_text())["ties"]
    assert sorted(ties[0]) == [head, embedding]
    save_file({**tensors, head: tensors[embedding] + np.float32(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="has other values in the checkpoint"):
        convert(captured / "gpt2.pt2", tmp_path / "x", weights=tmp_path / "other.safetensors")


def test_a_changed_weight_and_a_changed_layer_are_found(flow: ModuleType, captured: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(captured / "gpt2.pt2", out, weights=captured / "gpt2")
    source = (out / "model.py").read_text()
    assert "eps=1e-05" in source or "LayerNorm(32)" in source
    (out / "model.py").write_text(source.replace("nn.LayerNorm(32)", "nn.LayerNorm(32, eps=1e-2)"))
    found = verify_folder(out, captured / "gpt2.reference.safetensors")
    assert not found.faithful and "ln_1" in found.sentence
    (out / "model.py").write_text(source)
    weight = next(path for path in out.glob("**/transformer.h.1.mlp.c_fc.weight/out"))
    weight.write_bytes(weight.read_bytes()[:-4] + b"\0\0\1\77")
    found = verify_folder(out, captured / "gpt2.reference.safetensors")
    assert not found.faithful and found.ledger.verdict("weights") == "different"


def test_it_is_cut_for_ranks(captured: Path, tmp_path: Path) -> None:
    convert(captured / "llama_half.pt2", tmp_path / "cut", weights=captured / "llama_half", plan="llama", ranks=2)
    assert (tmp_path / "cut/rank_1").is_dir() and (tmp_path / "cut/model.py").is_file()
    assert not check(tmp_path / "cut", captured / "llama_half").differences


def test_what_can_not_be_done_without_weights_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "net.pt2"
    with pytest.raises(UsageError, match="nothing says where they lie"):
        capture_named("torch.nn:Linear(4, 3)", ["float32[2,4]"], out, without_weights=True)


def test_a_class_and_its_checkpoint(torch: Any, tmp_path: Path) -> None:
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export")
    from torch2flow.proof.capture.given_weights import GivenWeights

    net = torch.nn.Sequential(torch.nn.Linear(8, 300), torch.nn.BatchNorm1d(300), torch.nn.Linear(300, 4))
    net[1].running_mean.normal_()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(8, 300), nn.BatchNorm1d(300),"
        " nn.Linear(300, 4))\n"
    )
    given = {"weights": GivenWeights(tmp_path / "net.pth")}
    factory, inputs = f"{tmp_path}/own_net.py:net", ["float32[batch,8]"]
    capture_named(factory, inputs, tmp_path / "whole.pt2", **given)
    capture_named(factory, inputs, tmp_path / "without.pt2", without_weights=True, **given)
    assert not diff(tmp_path / "whole.reference.safetensors", tmp_path / "without.reference.safetensors").differs
    with pytest.raises(UsageError, match="records no gradients"):
        capture_named(factory, inputs, tmp_path / "x.pt2", without_weights=True, gradients=True, **given)


def test_weights_that_do_not_fit_into_the_memory_are_told_with_the_option(
    captured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch2flow.proof.capture import pretrained_folder

    pretrained_folder.check_memory(captured / "gpt2")
    monkeypatch.setattr(pretrained_folder, "free_memory", lambda: 1000.0)
    with pytest.raises(UsageError, match="The weights are 0.0 GB, and 0.0 GB of memory are free") as error:
        pretrained_folder.check_memory(captured / "gpt2")
    assert "--without-weights" in error.value.remedy
