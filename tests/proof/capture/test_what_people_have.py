"""What people have in hand becomes a capture: a class and its weights, TorchScript, a folder of transformers'."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.errors import UnsupportedError, UsageError
from torch2flow.proof.capture.given_weights import GivenWeights
from torch2flow.proof.capture.pretrained_folder import build_pretrained, default_inputs
from torch2flow.proof.capture.request import capture_named

FRAMEWORKS = Path(__file__).resolve().parents[2] / "fixtures" / "frameworks"


def build(torch: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(6, 5))


def same(torch: Any, left: Any, right: Any) -> bool:
    return all(torch.equal(value, right.state_dict()[name]) for name, value in left.state_dict().items())


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "model.", "model.module._orig_mod.", "_fsdp_wrapped_module.", "net.backbone."],
)
def test_the_model_says_which_names_it_wants(prefix: str, torch: Any, tmp_path: Path) -> None:
    trained, fresh = build(torch, 1), build(torch, 2)
    state = {prefix + name: value for name, value in trained.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "best.pth")
    notes = GivenWeights(tmp_path / "best.pth").load_into(torch, fresh)
    assert same(torch, trained, fresh)
    assert notes[0] == "weights: 9 tensors of best.pth, part 'state_dict'" and len(notes) == (2 if prefix else 1)


def test_a_head_that_the_file_lacks_is_told_with_the_nearest_name(torch: Any, tmp_path: Path) -> None:
    state = {name.replace("2.", "head."): value for name, value in build(torch).state_dict().items()}
    torch.save(state, tmp_path / "best.pth")
    with pytest.raises(UsageError, match=r"2.weight: not in the file; did you mean head.weight\?"):
        GivenWeights(tmp_path / "best.pth").load_into(torch, build(torch))
    notes = GivenWeights(tmp_path / "best.pth", rename=((r"^head\.", "2."),)).load_into(torch, build(torch))
    assert len(notes) == 1


def test_other_shapes_dtypes_and_spare_tensors_are_told(torch: Any, tmp_path: Path) -> None:
    state = build(torch, 1).state_dict()
    torch.save({**state, "2.weight": torch.ones(7, 6)}, tmp_path / "best.pth")
    with pytest.raises(UsageError, match=r"2.weight: \[5, 6\] in the model, \[7, 6\] in the file"):
        GivenWeights(tmp_path / "best.pth").load_into(torch, build(torch))
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    torch.save({"ema": {**half, "queue": torch.ones(2)}, "state_dict": {"a": torch.ones(1)}}, tmp_path / "best.pth")
    fresh = build(torch)
    notes = GivenWeights(tmp_path / "best.pth", key="ema").load_into(torch, fresh)
    assert fresh[2].weight.dtype is torch.float32 and torch.equal(fresh[2].weight, state["2.weight"].half().float())
    assert notes[1:] == [
        "the model has no place for 1 tensors of the file: queue",
        "the dtype of 8 tensors is the model's, not the file's: 0.weight, 0.bias, 1.weight, ...",
    ]


def test_weights_come_from_deepspeeds_folder_and_packed_ones_are_refused(torch: Any) -> None:
    net = torch.nn.Module()
    net.fc, net.emb = torch.nn.Linear(5, 7), torch.nn.Embedding(11, 5)
    GivenWeights(FRAMEWORKS / "deepspeed-3").load_into(torch, net)
    expected = open_checkpoint(FRAMEWORKS / "deepspeed-3" / "expected.safetensors")
    assert net.emb.weight.tolist() == expected["emb.weight"].numpy().tolist()
    with pytest.raises(UnsupportedError, match="a weight of GPTQ"):
        GivenWeights(FRAMEWORKS / "packed" / "gptq-4.pt").load_into(torch, torch.nn.Sequential(torch.nn.Linear(96, 64)))


def test_the_command_loads_them(torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export")
    trained = torch.nn.Linear(4, 3)
    torch.save({f"module.{name}": value for name, value in trained.state_dict().items()}, tmp_path / "best.pth")
    out = tmp_path / "net.pt2"
    weights = GivenWeights(tmp_path / "best.pth")
    captured = capture_named("torch.nn:Linear(4, 3)", ["float32[batch,4]"], out, weights=weights)
    assert torch.equal(torch.export.load(out).state_dict["weight"], trained.weight)
    assert captured.notes[0] == "weights: 2 tensors of best.pth"
    with pytest.raises(UsageError, match="A checkpoint has no code to run") as error:
        capture_named(str(tmp_path / "best.pth"), [], out)
    assert f"--weights {tmp_path / 'best.pth'}" in error.value.remedy


@pytest.mark.parametrize("kind", ["trace", "script"])
def test_torchscript_is_captured_with_its_keys_and_dynamic_axes(kind: str, torch: Any, tmp_path: Path) -> None:
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export")
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    ).eval()
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    script = torch.jit.trace(net, torch.ones(1, 3, 8, 8)) if kind == "trace" else torch.jit.script(net)
    script.save(str(tmp_path / "script.pt"))
    captured = capture_named(
        str(tmp_path / "script.pt"), ["float32[batch,3,8,8]"], tmp_path / "net.pt2", gradients=True
    )
    program = torch.export.load(tmp_path / "net.pt2")
    x = torch.randn(5, 3, 8, 8)  # another size than the sample's
    assert torch.allclose(program.module()(x), net(x), atol=1e-6)
    assert {name for name, _ in program.named_parameters()} == {name for name, _ in net.named_parameters()}
    assert captured.axes["batch"].dynamic and any("one mode here, eval" in note for note in captured.notes)


SCRIPTED = """
import torch

class Loop(torch.nn.Module):
    def forward(self, x):
        parts = []
        i = 0
        while i < x.size(0):
            parts.append(x[i])
            i += 1
        return torch.stack(parts)

class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(4, 3, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]
"""


@pytest.fixture
def scripted(torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of `SCRIPTED`, as a file: TorchScript wants its source."""
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export")
    (tmp_path / "looping.py").write_text(SCRIPTED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "looping", raising=False)
    return import_module("looping")


def test_what_the_converter_does_not_know_is_told_with_its_place(torch: Any, scripted: Any, tmp_path: Path) -> None:
    torch.jit.script(scripted.Loop()).save(str(tmp_path / "loop.pt"))
    with pytest.raises(UnsupportedError, match="prim::Loop") as error:
        capture_named(str(tmp_path / "loop.pt"), ["float32[2,4]"], tmp_path / "net.pt2")
    assert error.value.where.endswith("loop.pt, looping.py:8") and "--weights" in error.value.remedy
    torch.jit.script(torch.nn.Linear(4, 3)).save(str(tmp_path / "linear.pt"))
    with pytest.raises(UsageError, match="does not run with these inputs"):
        capture_named(str(tmp_path / "linear.pt"), ["float32[2,5]"], tmp_path / "net.pt2")


def test_weights_that_the_converter_takes_for_constants_keep_their_names(
    torch: Any, scripted: Any, tmp_path: Path
) -> None:
    net = scripted.Recurrent()
    torch.jit.script(net).save(str(tmp_path / "lstm.pt"))
    capture_named(str(tmp_path / "lstm.pt"), ["float32[2,5,4]"], tmp_path / "net.pt2")
    state = torch.export.load(tmp_path / "net.pt2").state_dict
    assert {name: value.tolist() for name, value in state.items()} == {
        name: value.tolist() for name, value in net.state_dict().items()
    }


class Config:
    """What default inputs ask of a configuration."""

    def __init__(self, **given: Any) -> None:
        self.__dict__ |= given


def test_default_inputs_follow_the_configuration(tmp_path: Path) -> None:
    def inputs(main: str, **config: Any) -> list[str]:
        return default_inputs(Config(main_input_name=main, config=Config(**config), forward=forward), tmp_path)

    def forward(input_ids: Any) -> None: ...

    assert inputs("input_ids", vocab_size=100) == [
        "input_ids=int64[batch,seq]:0..100",
        "attention_mask=int64[batch,seq]:1",
    ]
    assert inputs("pixel_values", image_size=[32, 64], num_channels=1) == ["pixel_values=float32[batch,1,32,64]"]

    def forward(input_features: Any, decoder_input_ids: Any) -> None: ...  # noqa: F811

    speech = inputs("input_features", num_mel_bins=80, max_source_positions=50, vocab_size=9)
    assert speech == ["input_features=float32[batch,80,100]", "decoder_input_ids=int64[batch,target]:0..9"]
    with pytest.raises(UsageError, match="no default inputs for Config, whose main input is 'rays'"):
        inputs("rays")


def test_a_folder_whose_code_is_not_transformers_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import ModuleType

    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["OwnModel"], "auto_map": {"AutoModel": "own.OwnModel"}})
    )
    library = ModuleType("transformers")
    library.__version__ = "5.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", library)
    with pytest.raises(UnsupportedError, match=r"transformers that is installed \(5.0\) has no OwnModel"):
        build_pretrained(tmp_path)


def test_a_folder_of_transformers_is_told_by_convert(tmp_path: Path) -> None:
    import torch2flow

    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (folder / "model.safetensors").write_bytes((FRAMEWORKS / "lora-linear" / "base.safetensors").read_bytes())
    notes = torch2flow.convert(folder, tmp_path / "out").plan.notes
    assert any(f"'torch2flow capture {folder} -o model.pt2'" in note for note in notes)


LAYER = "torch.nn:TransformerEncoderLayer(8, 2, 16, batch_first=True)"


def test_a_module_of_a_model_is_captured_alone(torch: Any, tmp_path: Path) -> None:
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export")
    trained = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    torch.save(trained.state_dict(), tmp_path / "best.pth")
    out, given = tmp_path / "part.pt2", GivenWeights(tmp_path / "best.pth")
    capture_named(LAYER, ["float32[batch,8]"], out, part="linear1", weights=given, reference="none")
    assert {name: value.shape for name, value in open_checkpoint(out).items()} == {"weight": (16, 8), "bias": (16,)}
    assert (open_checkpoint(out)["weight"].numpy() == trained.linear1.weight.detach().numpy()).all()


def test_a_module_that_is_not_there_is_told_with_those_that_may_be_meant(torch: Any, tmp_path: Path) -> None:
    if not hasattr(torch, "export"):
        pytest.skip("this PyTorch has no torch.export")
    with pytest.raises(UsageError, match="no module 'linear3'") as told:
        capture_named(LAYER, ["float32[2,8]"], tmp_path / "part.pt2", part="linear3")
    assert "linear1" in told.value.remedy and not (tmp_path / "part.pt2").exists()
    with pytest.raises(UsageError, match="--part takes a module out of"):
        capture_named(LAYER, [], tmp_path / "part.pt2", part="linear1", without_weights=True)
