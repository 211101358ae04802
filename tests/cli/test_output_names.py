"""Names of outputs that would mislead are refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

import torch2flow
from torch2flow.errors import UsageError

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "torch-2.13.0"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("model.onnx", "torch2flow writes no .onnx"),
        ("model.safetensor", "did you mean .safetensors"),
        ("model.PTH", "did you mean .pth"),
        ("model.Safetensors", "did you mean .safetensors"),
        ("model.h5", "torch2flow writes no .h5"),
        ("model.gguf", "torch2flow writes no .gguf"),
    ],
)
def test_a_suffix_that_is_not_ours_is_refused(name: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        torch2flow.convert(FILES / "state_dict-zip.pth", tmp_path / name)
    assert meant in str(error.value) and not list(tmp_path.iterdir())
    result = torch2flow.convert(FILES / "state_dict-zip.pth", tmp_path / name, format="folder")
    assert result.written


@pytest.mark.parametrize("name", ["out", "resnet.18", "v1.5", "run.d", "epoch=3-loss=0.25"])
def test_other_names_of_folders_are_free(name: str, tmp_path: Path) -> None:
    assert torch2flow.convert(FILES / "state_dict-zip.pth", tmp_path / name).format == "folder"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("numpy", "package 'numpy'"),
        ("oneflow", "package 'oneflow'"),
        ("json", "Python's own module 'json'"),
        ("class", "a word of Python's"),
        ("unet", "your unet.py"),
    ],
)
def test_a_model_hides_no_module(name: str, hidden: str, tmp_path: Path) -> None:
    (tmp_path / "unet.py").write_text("")
    with pytest.raises(UsageError, match=hidden):
        torch2flow.convert(FILES / "net.pt2", tmp_path / name)
    assert not (tmp_path / name).exists()
    assert torch2flow.convert(FILES / "net.pt2", tmp_path / name, weights_only=True).written


def test_a_package_that_is_installed_is_told(tmp_path: Path) -> None:
    notes = torch2flow.convert(FILES / "net.pt2", tmp_path / "click").plan.notes
    assert any("a package 'click' is installed" in note for note in notes)
