"""Recordings, and the comparison with them: a faithful model passes, and one with a fault of any kind does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from torch2flow.conversion import convert
from torch2flow.errors import FormatError
from torch2flow.parity import Reference, open_reference
from torch2flow.parity.running import Parity, compare, load_package

CAPTURE = """
import sys, torch, torch2flow
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.fc1 = nn.Linear(8, 8)
        self.fc2 = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.drop = nn.Dropout(0.25)

    def forward(self, x, options=None):
        x = torch.relu(self.bn(self.conv(x))).mean((2, 3))
        x = self.drop(self.fc2(torch.nn.functional.gelu(self.fc1(x))))
        x = self.norm(x + 1)
        return {"logits": x, "best": x.argmax(1), "rest": (None, [x * options["scale"]])}

torch.manual_seed(0)
model = Net()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
inputs = {"options": {"scale": torch.full((8,), 0.5)}}
torch2flow.capture(model, (torch.randn(4, 3, 6, 6),), inputs, out=sys.argv[1], dynamic={0: ("batch",)},
                   gradients=True, reference="outputs")
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str], torch_python: Path) -> Path:
    """A captured model with everything that is compared: nested inputs and outputs, integers, gradients, a step."""
    path = tmp_path_factory.mktemp("captured") / "net.pt2"
    run_python(torch_python, CAPTURE, path, env={"OMP_NUM_THREADS": "1"})
    return path


@pytest.fixture(scope="module")
def reference(captured: Path) -> Reference:
    found = open_reference(captured)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def converted(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "net"
    convert(captured, out)
    return out


@pytest.fixture
def compared(converted: Path, reference: Reference, tmp_path: Path, flow: ModuleType) -> Callable[..., Parity]:
    """`compared(old, new)` is what a comparison finds after that change to the source of the model."""

    def run(*changes: tuple[str, str], swap: tuple[str, str] | None = None) -> Parity:
        folder = tmp_path / "changed"
        shutil.copytree(converted, folder)
        source = (folder / "model.py").read_text()
        for old, new in changes:
            assert old in source, source
            source = source.replace(old, new)
        (folder / "model.py").write_text(source)
        if swap:
            first, second = (folder / "weights" / name for name in swap)
            first.rename(folder / "moved")
            second.rename(first)
            (folder / "moved").rename(second)
        return compare(folder, reference)

    return run


# -- recordings ------------------------------------------------------------------------------------------------


@pytest.mark.oneflow
def test_a_recording_has_its_inputs_nested_as_they_were(reference: Reference) -> None:
    args, keywords = reference.inputs(lambda array: array.shape)
    assert (args, keywords) == ([(4, 3, 6, 6)], {"options": {"scale": (8,)}})


@pytest.mark.oneflow
def test_a_recording_says_how_it_was_made(reference: Reference) -> None:
    assert reference.metadata["mode"] == "eval"
    assert float(reference.metadata["lr"]) == 0.01


@pytest.mark.oneflow
def test_a_recording_has_outputs_in_two_precisions(reference: Reference) -> None:
    pairs = {name: (single.dtype, exact.dtype) for name, single, exact in reference.pairs("output.")}
    assert pairs["0"] == (np.float32, np.float64)
    assert pairs["1"] == (np.int64, np.int64)


def test_without_a_recording_there_is_none(tmp_path: Path) -> None:
    assert open_reference(tmp_path / "net.pt2") is None


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x10\0\0\0\0\0\0\0{", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_recording_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.reference.safetensors").write_bytes(content)
    with pytest.raises(FormatError) as raised:
        open_reference(tmp_path / "net.pt2")
    assert "net.reference.safetensors" in str(raised.value)


def test_a_checkpoint_is_no_recording(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"fc.weight": np.zeros(3, np.float32)}, tmp_path / "net.reference.safetensors")
    with pytest.raises(FormatError, match="no recording") as raised:
        open_reference(tmp_path / "net.pt2")
    assert ".reference.safetensors that lies beside" in raised.value.remedy


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises((FormatError, OSError)):
        Reference(tmp_path / "nothing.safetensors")


# -- a comparison ----------------------------------------------------------------------------------------------


def test_a_faithful_model_passes(compared: Callable[..., Parity]) -> None:
    parity = compared()
    assert parity.faithful
    assert set(parity.outputs) == set(parity.second) == {"0", "1", "3"}
    assert "bn.running_mean" in parity.step and "fc1.weight" in parity.gradients


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, eps=0.001)"),
        ("nn.LayerNorm(8)", "nn.LayerNorm(8, eps=0.0001)"),
        ("self.fc1(x)", "F.linear(x, self.fc1.weight)"),
        ("F.gelu(x)", "F.silu(x)"),
        ("self.fc2(x)", "self.fc1(x)"),
        ('"best": flow.argmax(x, dim=1)', '"best": flow.argmin(x, dim=1)'),
        ('"best": flow.argmax(x, dim=1)', '"best": None'),
        ('"best": flow.argmax(x, dim=1)', '"best": flow.argmax(x, dim=1).to(flow.float32)'),
        ('"logits": x', '"logits": x[:, :4]'),
        ('"rest": (None, ', '"rest": (None, None, '),
    ],
)
def test_a_fault_in_the_source_is_found(old: str, new: str, compared: Callable[..., Parity]) -> None:
    parity = compared((old, new))
    assert not parity.faithful
    assert any(each.verdict == "different" for each in parity.outputs.values())


def test_swapped_weights_are_found(compared: Callable[..., Parity]) -> None:
    assert not compared(swap=("fc1.weight", "fc2.weight")).faithful


def test_a_momentum_is_found_by_the_step_alone(compared: Callable[..., Parity]) -> None:
    parity = compared(("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.2)"))
    assert all(each.verdict != "different" for each in [*parity.outputs.values(), *parity.gradients.values()])
    assert parity.step["bn.running_mean"].verdict == "different"
    assert not parity.faithful


def test_a_gradient_that_is_cut_off_is_found(compared: Callable[..., Parity]) -> None:
    parity = compared(("self.fc1(x)", "self.fc1(x).detach()"))
    assert all(each.verdict != "different" for each in parity.outputs.values())
    assert parity.gradients["fc1.weight"].fault == "it is not there"
    assert not parity.faithful


def test_a_frozen_parameter_is_found(compared: Callable[..., Parity]) -> None:
    frozen = ("self.norm = nn.LayerNorm(8)", "self.norm = nn.LayerNorm(8)\n        self.fc2.bias.requires_grad_(False)")
    parity = compared(frozen)
    assert parity.gradients["fc2.bias"].fault == "it is not there" and not parity.faithful


def test_dropout_does_not_disturb_the_comparison_of_training(compared: Callable[..., Parity]) -> None:
    assert all(each.verdict != "different" for each in compared().gradients.values())


def test_a_package_is_loaded_from_wherever_it_lies(converted: Path, flow: ModuleType) -> None:
    model: Any = load_package(converted).load_model()
    assert type(model).__name__ == "Net" and not model.training


def test_a_package_in_float64_computes_in_float64(converted: Path, reference: Reference, flow: ModuleType) -> None:
    model: Any = load_package(converted, double=True).load_model().to(flow.float64)
    args, keywords = reference.inputs(lambda array: flow.tensor(array.astype(np.float64)))
    assert model(*args, **keywords)["logits"].dtype == flow.float64
