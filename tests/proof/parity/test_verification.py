"""Recordings, and the verification by them: a faithful model passes, and one with a fault of any kind does not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from made_once import CAPTURING, made_once

from torch2flow.conversion import convert
from torch2flow.errors import FormatError, UsageError
from torch2flow.proof.parity import Reference, Request, Verification, open_reference, verify_folder
from torch2flow.proof.parity.compared_models import load_package
from torch2flow.proof.parity.ledger import TRAINED

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
                   gradients=True)
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str], torch_python: Path) -> Path:
    """A captured model with everything that is compared: nested inputs and outputs, integers, gradients, a step."""

    def capture(folder: Path) -> None:
        run_python(torch_python, CAPTURE, folder / "net.pt2", env={"OMP_NUM_THREADS": "1"})

    return made_once("net", [*CAPTURING, CAPTURE], capture, tmp_path_factory.mktemp("captured")) / "net.pt2"


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
def changed(converted: Path, captured: Path, tmp_path: Path, flow: ModuleType) -> Callable[..., Verification]:
    """`changed((old, new))` is what a verification finds after that change to the source of the model.

    `NAME` in `old` is any name, and in `new` the same one: what a local variable is called is not tested here.
    """

    def run(*changes: tuple[str, str], swap: tuple[str, str] | None = None, **request: Any) -> Verification:
        folder = tmp_path / "changed"
        shutil.copytree(converted, folder)
        source = (folder / "model.py").read_text()
        for old, new in changes:
            source, count = re.subn(re.escape(old).replace("NAME", r"(\w+)"), new.replace("NAME", r"\1"), source)
            assert count, source
        (folder / "model.py").write_text(source)
        if swap:
            first, second = (folder / "weights" / name for name in swap)
            first.rename(folder / "moved")
            second.rename(first)
            (folder / "moved").rename(second)
        return verify_folder(folder, captured, Request(**request))

    return run


# -- recordings ------------------------------------------------------------------------------------------------


@pytest.mark.oneflow
def test_a_recording_has_its_inputs_nested_as_they_were(reference: Reference) -> None:
    args, keywords = reference.inputs(lambda name, array: array.shape)
    assert (args, keywords) == ([(4, 3, 6, 6)], {"options": {"scale": (8,)}})


@pytest.mark.oneflow
def test_a_recording_says_how_it_was_made(reference: Reference) -> None:
    assert reference.metadata["mode"] == "eval"
    assert float(reference.metadata["lr"]) == 2.0**-7


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


# -- a verification --------------------------------------------------------------------------------------------


def test_a_faithful_model_is_within_noise(changed: Callable[..., Verification]) -> None:
    found = changed()
    assert found.faithful and found.divergence is None
    assert set(found.ledger.parts["outputs"]) == set(found.ledger.parts["second"]) == {"0", "1", "3"}
    assert "gradients" in found.parts and "own" in found.parts
    assert "by no more than float32 rounding explains" in found.sentence


def test_graph_mode_is_compared_where_asked(changed: Callable[..., Verification]) -> None:
    found = changed(graph=True, training=False)
    assert found.faithful and set(found.ledger.parts["graph"]) == {"0", "1", "3"}
    assert "gradients" not in found.parts


def test_layers_are_chosen_by_a_pattern(changed: Callable[..., Verification]) -> None:
    found = changed(modules="^fc", training=False)
    assert set(found.ledger.parts["own"]) == {"module.fc1#0.0", "module.fc2#0.0"}


def test_layers_can_be_left_out(changed: Callable[..., Verification]) -> None:
    found = changed(layers=False, training=False)
    assert "own" not in found.parts and not set(found.parts) & set(TRAINED)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, eps=0.001)", "bn"),
        ("nn.LayerNorm(8)", "nn.LayerNorm(8, eps=0.00001001)", "norm"),
        ("self.fc1(NAME)", "F.linear(NAME, self.fc1.weight)", ""),
        ("F.gelu(NAME)", "F.silu(NAME)", ""),
        ("F.gelu(NAME)", 'F.gelu(NAME, approximate="tanh")', ""),
        ("self.fc2(NAME)", "self.fc1(NAME)", ""),
        ('"best": flow.argmax(NAME, dim=1)', '"best": flow.argmin(NAME, dim=1)', ""),
        ('"best": flow.argmax(NAME, dim=1)', '"best": None', ""),
        ('"best": flow.argmax(NAME, dim=1)', '"best": flow.argmax(NAME, dim=1).to(flow.float32)', ""),
        ('"logits": NAME', '"logits": NAME[:, :4]', ""),
        ('"rest": (None, ', '"rest": (None, None, ', ""),
    ],
)
def test_a_fault_in_the_source_is_found(old: str, new: str, path: str, changed: Callable[..., Verification]) -> None:
    found = changed((old, new))
    assert not found.faithful
    assert found.divergence is not None and found.divergence.path == path, found.sentence


def test_swapped_weights_are_found_where_they_are(changed: Callable[..., Verification]) -> None:
    found = changed(swap=("fc1.weight", "fc2.weight"))
    assert found.verdict == "different"
    assert found.sentence.startswith("The weights are not PyTorch's: `fc1.weight`")
    assert found.divergence is not None and found.divergence.path == "fc1"
    own = found.ledger.parts["own"]["module.fc1#0.0"]
    assert own.measure.verdict == "different" and any("weight" in text for text in own.likely)


def test_a_momentum_is_found_by_the_step_alone(changed: Callable[..., Verification]) -> None:
    found = changed(("nn.BatchNorm2d(8)", "nn.BatchNorm2d(8, momentum=0.2)"))
    assert [part for part in found.parts if found.ledger.verdict(part) == "different"] == [
        "buffers", "later_buffers"
    ]  # fmt: skip
    assert found.divergence is not None and found.divergence.path == "bn"
    assert "momentum" in found.divergence.likely[0]


def test_a_gradient_that_is_cut_off_is_found(changed: Callable[..., Verification]) -> None:
    found = changed(("self.fc1(NAME)", "self.fc1(NAME).detach()"))
    assert found.ledger.verdict("outputs") != "different"
    assert found.ledger.parts["gradients"]["fc1.weight"].measure.fault == "it is not there"
    assert found.divergence is not None and found.divergence.path == ""  # the code of Net, around fc1


def test_a_frozen_parameter_is_found(changed: Callable[..., Verification]) -> None:
    frozen = ("self.norm = nn.LayerNorm(8)", "self.norm = nn.LayerNorm(8)\n        self.fc2.bias.requires_grad_(False)")
    found = changed(frozen)
    assert found.ledger.parts["gradients"]["fc2.bias"].measure.fault == "it is not there"
    assert found.divergence is not None and found.divergence.tensor == "fc2.bias"


def test_a_layer_that_raises_is_named_and_the_rest_compared(changed: Callable[..., Verification]) -> None:
    body = "\n\nclass Net("
    raising = '\n\nclass Bad(nn.LayerNorm):\n    def forward(self, x):\n        raise RuntimeError("no kernel")\n'
    found = changed((body, raising + body), ("self.norm = nn.LayerNorm(8)", "self.norm = Bad(8)"), training=False)
    assert set(found.ledger.failures) >= {"norm#0"}
    assert found.sentence.startswith("`norm` (LayerNorm) can't be run: RuntimeError: no kernel")
    assert found.ledger.parts["own"]["module.fc2#0.0"].measure.verdict != "different"


def test_a_model_that_can_not_be_built_says_so(changed: Callable[..., Verification]) -> None:
    found = changed(("self.norm = nn.LayerNorm(8)", "self.norm = nn.LayerNorm(9)"))
    assert found.verdict == "different" and "building the model" in found.sentence and "norm." in found.sentence


def test_a_layer_that_ends_the_process_is_named_and_the_rest_compared(changed: Callable[..., Verification]) -> None:
    """`os.abort` stands for the operators of OneFlow 0.9.0 that do the same: which they are differs by machine."""
    body = "\n\nclass Net("
    deadly = "\n\nclass Deadly(nn.LayerNorm):\n    def forward(self, x):\n        import os\n\n        os.abort()\n"
    found = changed((body, deadly + body), ("self.norm = nn.LayerNorm(8)", "self.norm = Deadly(8)"), training=False)
    assert found.verdict == "different"
    assert "OneFlow ended the whole process (signal 6)" in found.ledger.failures["norm#0"]
    assert found.divergence is not None and found.divergence.path == "norm"
    assert found.ledger.parts["own"]["module.fc2#0.0"].measure.verdict != "different"
    assert found.ledger.verdict("outputs") != "different"


def test_everything_is_told_as_plain_data(changed: Callable[..., Verification]) -> None:
    data = json.loads(json.dumps(changed().to_json()))
    assert data["verdict"] == "within noise"
    assert data["unmatched"] == {"pytorch": [], "oneflow": []}
    assert [row["path"] for row in data["modules"]] == ["conv", "bn", "fc1", "fc2", "drop", "norm"]
    assert data["model"]["class"] == "Net" and data["model"]["tensors"] == 13
    assert {"torch2flow", "torch", "oneflow", "numpy", "python"} <= set(data["versions"])
    outputs = {row["name"]: row for part in data["parts"] if part["name"] == "outputs" for row in part["tensors"]}
    assert outputs["0"]["argmax"] == 1.0 and outputs["0"]["cosine"] > 0.999999 and outputs["0"]["ulp"] < 1000
    assert sum(outputs["0"]["histogram"]["found"]) == 32


# -- what can't be verified ------------------------------------------------------------------------------------


def test_without_a_recording_it_says_where_it_looked(converted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    shutil.copytree(converted, folder)
    with pytest.raises(UsageError, match="no recording to compare with") as raised:
        verify_folder(folder)
    assert "net.reference.safetensors" in raised.value.where and "--against" in raised.value.remedy


def test_a_recording_in_the_folder_is_found(converted: Path, captured: Path, tmp_path: Path, flow: ModuleType) -> None:
    folder = tmp_path / "complete"
    shutil.copytree(converted, folder)
    shutil.copy(captured.with_suffix(".reference.safetensors"), folder / "reference.safetensors")
    assert verify_folder(folder, request=Request(layers=False, training=False)).faithful


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model\.py here"):
        verify_folder(tmp_path)
    with pytest.raises(FormatError, match="The folder is not there"):
        verify_folder(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no folder of a converted model"):
        verify_folder(tmp_path / "file")


def test_the_recording_of_another_model_is_refused(converted: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    metadata = {"state_dict": '["encoder.weight"]', "model": "nets.py:Other"}
    save_file({"output.0": np.zeros(3, np.float32)}, path, metadata)
    with pytest.raises(FormatError, match="of another model") as raised:
        verify_folder(converted, path)
    assert "nets.py:Other" in raised.value.maybe


def test_a_recording_that_is_cut_short_is_refused(converted: Path, captured: Path, tmp_path: Path) -> None:
    whole = captured.with_suffix(".reference.safetensors").read_bytes()
    path = tmp_path / "net.reference.safetensors"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError) as raised:
        verify_folder(converted, path)
    assert str(path) in str(raised.value)


def test_nan_on_both_sides_is_no_difference(
    converted: Path,
    captured: Path,
    tmp_path: Path,
    run_python: Callable[..., str],
    torch_python: Path,
    flow: ModuleType,
) -> None:
    """What is NaN in PyTorch must be NaN in OneFlow, in the same places."""
    path = tmp_path / "nan.pt2"
    spoiled = CAPTURE.replace("torch2flow.capture(", "model.fc2.weight.data[0, 0] = float('nan')\ntorch2flow.capture(")
    run_python(torch_python, spoiled, path, env={"OMP_NUM_THREADS": "1"})
    convert(path, tmp_path / "out")
    found = verify_folder(tmp_path / "out", path, Request(training=False))
    assert found.faithful, found.sentence


# -- packages --------------------------------------------------------------------------------------------------


def test_a_package_is_loaded_from_wherever_it_lies(converted: Path, flow: ModuleType) -> None:
    model: Any = load_package(converted).load_model()
    assert type(model).__name__ == "Net" and not model.training


def test_a_package_in_float64_computes_in_float64(converted: Path, reference: Reference, flow: ModuleType) -> None:
    model: Any = load_package(converted, double=True).load_model().to(flow.float64)
    args, keywords = reference.inputs(lambda name, array: flow.tensor(array.astype(np.float64)))
    assert model(*args, **keywords)["logits"].dtype == flow.float64
