"""Weights that a file holds in an unusual place or form are written, or refused by name; never left out with exit 0."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch2flow
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.writing import Options
from torch2flow.errors import FormatError, UnsupportedError


def quantized_convolution(torch: Any) -> Any:
    quantization = torch.ao.quantization
    layers = [quantization.QuantStub(), torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(6, 2), quantization.DeQuantStub()]
    model = torch.nn.Sequential(*layers).eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    quantization.prepare(model, inplace=True)
    model(torch.randn(2, 3, 8, 8))
    return quantization.convert(model)


def dynamic(torch: Any, module: Any) -> Any:
    kinds = {torch.nn.Linear, torch.nn.LSTM, torch.nn.LSTMCell}
    return torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(module), kinds, dtype=torch.qint8)


@pytest.mark.parametrize("kind", ["convolution", "linear", "cell", "scripted"])
def test_a_quantized_module_is_refused_with_the_layers_whose_weights_are_packed(
    torch: Any, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    if kind == "scripted":
        torch.jit.save(torch.jit.script(dynamic(torch, torch.nn.Linear(4, 6))), path)
    else:
        made = {"linear": torch.nn.Linear, "cell": torch.nn.LSTMCell}.get(kind)
        torch.save(quantized_convolution(torch) if made is None else dynamic(torch, made(4, 6)), path)
    where = {"convolution": "1, 2._packed_params", "cell": "0._packed_weight_ih"}.get(kind, "0._packed_params")
    with pytest.raises(UnsupportedError, match=f"in a form of their own: {where}") as caught:
        torch2flow.convert(path, tmp_path / "out")
    assert "model.state_dict()" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_the_state_dict_of_a_quantized_lstm_keeps_all_its_weights(torch: Any, tmp_path: Path) -> None:
    """An object of a class written in C++ has a tuple for its state, of which the last part is a text."""
    torch.save(dynamic(torch, torch.nn.LSTM(4, 6)).state_dict(), tmp_path / "model.pt")
    found = open_checkpoint(tmp_path / "model.pt")
    assert {tensor.shape for tensor in found.values()} == {(24,), (24, 4), (24, 6)}


@pytest.mark.parametrize(
    "content", [{"lr": 0.1}, 3, {}, {"state_dict": {}, "epoch": 3}, {"best": np.float64(3), "rng": ("MT", np.ones(2))}]
)
def test_nothing_to_convert_is_an_error(torch: Any, content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(UnsupportedError, match="There is no tensor to convert"):
        torch2flow.convert(tmp_path / "model.pt", tmp_path / "out")


def test_the_weights_of_a_frozen_script_are_said_to_be_constants(torch: Any, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.freeze(torch.jit.script(torch.nn.Linear(2, 3).eval())), tmp_path / "model.pt")
    with pytest.raises(UnsupportedError) as caught:
        torch2flow.convert(tmp_path / "model.pt", tmp_path / "out")
    assert "torch.jit.freeze are constants" in caught.value.maybe


def test_a_model_without_weights_is_converted(torch: Any, tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.ReLU()), tmp_path / "model.pt")
    assert torch2flow.convert(tmp_path / "model.pt", tmp_path / "out").model_source is not None


@pytest.mark.parametrize("by_torch", [True, False])
def test_arrays_are_tensors_where_there_is_no_tensor(torch: Any, by_torch: bool, tmp_path: Path) -> None:
    weights = {"w": np.arange(6, dtype="f4").reshape(2, 3), "name": np.array(["a"])}
    content = {"model": weights, "__author__": "somebody", "best": np.float64(3)}
    path = tmp_path / "model.pkl"
    torch.save(content, path) if by_torch else path.write_bytes(pickle.dumps(content))
    result = torch2flow.convert(path, tmp_path / "out")
    found = open_checkpoint(result.out)
    assert list(found) == ["w"] and np.array_equal(found["w"].numpy(), weights["w"])


def test_an_array_beside_tensors_stays_one(torch: Any, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "history": np.zeros(4)}, tmp_path / "model.pt")
    assert list(open_checkpoint(tmp_path / "model.pt")) == ["w"]


@pytest.mark.parametrize("kind", ["int8", "float8", "packed", "unknown", "unscaled"])
def test_matrices_of_small_integers_with_scales_are_no_weights(torch: Any, kind: str, tmp_path: Path) -> None:
    """optimum-quanto's names; those of BitNet or NVFP4 are of no format that is known here."""
    numbers, scale = torch.arange(-12, 12).reshape(4, 6), torch.full((4, 1), 0.5)
    state = {
        "int8": {"0.weight._data": numbers.to(torch.int8), "0.weight._scale": scale, "0.input_scale": torch.ones(())},
        "packed": {"0.weight._data._data": numbers.byte(), "0.weight._scale": scale, "0.weight._shift": scale},
        "unknown": {"0.weight": numbers.byte(), "0.weight_scale_2": scale},
        "unscaled": {"0.weight": numbers.byte(), "1.scale": scale},
    }
    if kind == "float8" and not hasattr(torch, "float8_e4m3fn"):
        pytest.skip("this PyTorch has no float8")
    state["float8"] = dict(state["int8"])
    if kind == "float8":
        state["float8"]["0.weight._data"] = numbers.to(torch.float32).to(torch.float8_e4m3fn)
    torch.save(state[kind], tmp_path / "model.pt")
    if kind == "unscaled":
        assert len(torch2flow.convert(tmp_path / "model.pt", tmp_path / "out").plan.entries) == 2
        return
    with pytest.raises(UnsupportedError, match="0.weight: a weight of "):
        torch2flow.convert(tmp_path / "model.pt", tmp_path / "out")
    if kind in ("int8", "float8"):
        result = torch2flow.convert(tmp_path / "model.pt", tmp_path / "out", Options(quantized="dequantize"))
        assert np.array_equal(open_checkpoint(result.out)["0.weight"].numpy(), (numbers * 0.5).numpy())


def test_a_folder_of_checkpoints_names_some(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.safetensors").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FormatError) as caught:
        open_checkpoint(tmp_path)
    assert caught.value.remedy == "give one of the files inside: unet/weights.safetensors"


def test_a_nested_tensor_of_the_newer_layout_is_refused(torch: Any, tmp_path: Path) -> None:
    if not hasattr(torch, "jagged"):
        pytest.skip("this PyTorch has none")
    nested = torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)], layout=torch.jagged)
    torch.save({"rows": nested}, tmp_path / "model.pt")
    with pytest.raises(UnsupportedError, match="rows: nested float32"):
        torch2flow.convert(tmp_path / "model.pt", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "told"),
    [("base_model.model.l.ia3_l", "an adapter of PEFT's alone"), ("prompt_embeddings", "an adapter of PEFT's alone")],
)
def test_an_adapter_of_another_kind_is_told(torch: Any, name: str, told: str, tmp_path: Path) -> None:
    torch.save({name: torch.ones(3)}, tmp_path / "model.pt")
    assert told in "".join(torch2flow.convert(tmp_path / "model.pt", tmp_path / "out").plan.notes)


def test_an_averaged_model_is_told_as_a_wrapper(torch: Any, tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 3))
    torch.save(averaged.state_dict(), tmp_path / "model.pt")
    assert r"--rename '^module\.='" in "".join(torch2flow.convert(tmp_path / "model.pt", tmp_path / "out").plan.notes)


class Node:
    """An object of the user's own class, in the file by its name alone."""

    parent: Node
    child: Node


def test_a_pointer_back_to_the_holder_is_cut_and_told(torch: Any, tmp_path: Path) -> None:
    tree = Node()
    tree.child = Node()
    tree.child.parent = tree
    torch.save({"model": {"w": torch.ones(2)}, "tree": tree}, tmp_path / "model.pt")
    checkpoint = open_checkpoint(tmp_path / "model.pt", ".")
    inner = checkpoint.tree["tree"]["child"]
    assert inner["parent"].endswith("Node that holds this>") and list(checkpoint) == ["model.w"]
    assert "1 pointers of objects to those that hold them were cut" in checkpoint.notes[0]


def test_wrappers_inside_one_another_are_all_told_in_the_order_that_strips_them(torch: Any, tmp_path: Path) -> None:
    torch.save({"_orig_mod.module.fc.weight": torch.ones(2)}, tmp_path / "model.pt")
    notes = torch2flow.convert(tmp_path / "model.pt", tmp_path / "out").plan.notes
    rules = [tuple(note.split("--rename '")[1].split("'")[0].split("=", 1)) for note in notes]
    result = torch2flow.convert(tmp_path / "model.pt", tmp_path / "named", Options(rename=rules))
    assert list(open_checkpoint(result.out)) == ["fc.weight"]


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("params_ema",), "params_ema"),
        (("generator", "optimizer", "step"), "generator"),
        (("generator", "discriminator"), "."),
    ],
)
def test_the_only_part_with_weights_is_taken(torch: Any, parts: tuple[str, ...], key: str, tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 3)
    content = {"optimizer": torch.optim.Adam(layer.parameters()).state_dict(), "step": 3}
    torch.save({part: content.get(part, layer.state_dict()) for part in parts}, tmp_path / "model.pt")
    assert open_checkpoint(tmp_path / "model.pt").key == key
