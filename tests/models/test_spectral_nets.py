"""Models with complex numbers and Fourier transforms: converted, and ported, they compute what PyTorch does."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_once import CAPTURING, made_once

from torch2flow.conversion import convert
from torch2flow.proof.parity import verify_folder

NETS = Path(__file__).with_name("spectral_nets.py")
INPUTS = ["float32[batch,4,8,8]", "float32[batch,4,12]", "float32[batch,64]", "complex64[batch,4]"]

pytestmark = pytest.mark.oneflow


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory, torch_python: Path, run_cli: Any) -> Path:
    def capture(folder: Path) -> None:
        given = [part for text in INPUTS for part in ("--input", text)]
        command = ["capture", f"{NETS}:Together", "-o", folder / "nets.pt2", *given, "--gradients"]
        code, said, errors = run_cli(*command, interpreter=torch_python)
        assert code == 0, said + errors

    folder = made_once("spectral", [*CAPTURING, NETS], capture, tmp_path_factory.mktemp("spectral"))
    return folder / "nets.pt2"


def test_converted(captured: Path, tmp_path: Path, flow: ModuleType) -> None:
    """Outputs, another batch, every layer, gradients with PyTorch's convention, and steps of training."""
    result = convert(captured, tmp_path / "out")
    assert result.model_source is not None
    assert any("so is z, which forward takes" in note for note in result.model_source.notes)
    found = verify_folder(tmp_path / "out", captured)
    assert found.faithful, found.sentence
    assert {"outputs", "second", "own", "gradients", "input_gradients", "adamw"} <= set(found.parts)


def test_ported(tmp_path: Path, run_cli: Any, torch_python: Path, oneflow_python: Path) -> None:
    (tmp_path / "spectral_nets.py").write_text(NETS.read_text("utf-8"), "utf-8")
    asked = shlex.join(["spectral_nets:Together", *(f"--input={text}" for text in INPUTS), "--no-layers"])
    (tmp_path / "models.txt").write_text(asked + "\n")
    command = ["port", "spectral_nets.py", "-o", "flow_nets.py", "--python", torch_python, "--verify", "models.txt"]
    code, said, errors = run_cli(*command, interpreter=oneflow_python, cwd=tmp_path)
    assert code == 0 and "within noise" in said, said + errors


def test_an_operator_without_a_complex_form_is_refused_by_name(
    tmp_path: Path, run_cli: Any, torch_python: Path, oneflow_python: Path
) -> None:
    (tmp_path / "nets.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.linalg.qr(torch.fft.fft(x))[0].abs()\n"
    )
    capture = ["capture", "nets:Net", "-o", "net.pt2", "--input", "float32[3,4]", "--reference", "none"]
    assert run_cli(*capture, interpreter=torch_python, cwd=tmp_path)[0] == 0
    code, said, errors = run_cli("convert", "net.pt2", "-o", "out", interpreter=oneflow_python, cwd=tmp_path)
    assert code == 4 and "complex.linalg_qr.default" in errors and "no rule for it on complex numbers" in errors, errors
