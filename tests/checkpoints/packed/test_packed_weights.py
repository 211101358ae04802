"""Weights that libraries packed: their values are those of the libraries' own dequantizers, and never taken unasked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torch2flow
from torch2flow.checking import check
from torch2flow.checkpoints.inspection import hints
from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.packed import PackedTensor
from torch2flow.errors import UnsupportedError

FILES = Path(__file__).resolve().parents[2] / "fixtures" / "frameworks" / "packed"
NAMES = sorted(file.stem for file in FILES.glob("*.pt"))


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_library_that_packed_them(name: str, tmp_path: Path) -> None:
    options = torch2flow.Options(quantized="dequantize")
    result = torch2flow.convert(FILES / f"{name}.pt", tmp_path / "out.safetensors", options)
    found, expected = open_checkpoint(result.out), open_checkpoint(FILES / "expected.safetensors")[name]
    assert set(found) <= {"0.weight", "0.bias"}, "parts of the weight are left"
    weight = found["0.weight"]
    assert (weight.dtype, weight.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(weight.numpy().view("u1"), np.ascontiguousarray(expected.numpy()).view("u1"))
    assert not check(result.out, FILES / f"{name}.pt").differences


@pytest.mark.parametrize("name", NAMES)
def test_packed_numbers_are_never_taken_for_weights_unasked(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="0.weight: a weight of .*--quantized dequantize"):
        torch2flow.convert(FILES / f"{name}.pt", tmp_path / "out")
    assert any("1 weight is packed" in hint for hint in hints(open_checkpoint(FILES / f"{name}.pt")))


@pytest.mark.parametrize("name", ["nf4", "gptq-4", "float8-blocks"])
def test_the_packed_numbers_come_as_they_are_if_asked_for(name: str, tmp_path: Path) -> None:
    result = torch2flow.convert(FILES / f"{name}.pt", tmp_path / "out.safetensors", torch2flow.Options(quantized="int"))
    source, found = open_checkpoint(FILES / f"{name}.pt"), open_checkpoint(result.out)
    assert set(found) == set(source)
    assert all(np.array_equal(found[key].numpy().view("u1"), source[key].numpy().view("u1")) for key in source)


def test_scales_of_activations_are_left_out_and_told(torch: Any, tmp_path: Path) -> None:
    weight, scale = torch.ones(4, 6, dtype=torch.int8), torch.full((4, 1), 0.5)
    state = {"0.weight": weight, "0.weight_scale": scale, "0.input_scale": torch.ones(1)}
    torch.save(state, tmp_path / "model.pth")
    result = torch2flow.convert(tmp_path / "model.pth", tmp_path / "out", torch2flow.Options(quantized="dequantize"))
    assert len(result.plan.entries) == 1
    assert any("scales of the inputs of 1 packed weights are left out" in note for note in result.plan.notes)


def test_another_dtype_can_be_asked_for(tmp_path: Path) -> None:
    options = torch2flow.Options(quantized="dequantize", dtype="float32")
    result = torch2flow.convert(FILES / "nf4.pt", tmp_path / "out.safetensors", options)
    weight, rounded = (
        open_checkpoint(result.out)["0.weight"].numpy(),
        open_checkpoint(FILES / "expected.safetensors")["nf4"].numpy(),
    )
    assert weight.dtype == "f4" and np.array_equal(weight.astype("f2"), rounded) and not np.array_equal(weight, rounded)


def test_the_folder_says_how_zero_points_are_stored(tmp_path: Path) -> None:
    """`gptq_v2` has the zero point itself, where the first format has it less one."""
    options = torch2flow.Options(quantized="dequantize")
    second = torch2flow.convert(FILES / "gptq_v2", tmp_path / "b.safetensors", options).out
    shutil.copy(FILES / "gptq_v2" / "pytorch_model.bin", tmp_path)
    first = torch2flow.convert(tmp_path / "pytorch_model.bin", tmp_path / "a.safetensors", options).out
    source = open_checkpoint(FILES / "gptq_v2")
    scales = source["0.scales"].numpy()[source["0.g_idx"].numpy()].T
    difference = open_checkpoint(second)["0.weight"].numpy().astype("f4") - open_checkpoint(first)["0.weight"].numpy()
    assert np.allclose(difference, scales, atol=2e-2)


def test_what_is_not_documented_is_refused_by_its_name(torch: object, tmp_path: Path) -> None:
    import torch as t

    words = t.zeros(4, 4, dtype=t.int32)
    cases = {
        "HQQ": {"fc.W_q": words.to(t.uint8), "fc.bias": t.zeros(4)},
        "EXL2": {"fc.q_weight": words, "fc.q_scale": words},
        "AQLM or VPTQ": {"fc.codebooks": t.zeros(1, 2, 3), "fc.codes": words},
        "EETQ": {"fc.weight": words.to(t.int8), "fc.weight_scales": t.ones(4)},
        "MXFP4": {"experts.up_blocks": words.to(t.uint8), "experts.up_scales": words.to(t.uint8)},
        "scales that belong to it are missing": {"fc.qweight": words},
    }
    for scheme, state in cases.items():
        t.save(state, tmp_path / "model.pth")
        with pytest.raises(UnsupportedError, match=scheme):
            torch2flow.convert(tmp_path / "model.pth", tmp_path / "out", torch2flow.Options(quantized="dequantize"))
        torch2flow.convert(
            tmp_path / "model.pth", tmp_path / "out", torch2flow.Options(quantized="int"), overwrite=True
        )


def test_names_that_only_look_like_it_mean_nothing(torch: object, tmp_path: Path) -> None:
    import torch as t

    state = {
        "net.num_blocks": t.tensor(3),
        "attn.weight_scale": t.ones(2),
        "attn.weight": t.ones(2, 2),
        "a.W_q": t.ones(2),
    }
    t.save(state, tmp_path / "model.pth")
    assert len(torch2flow.convert(tmp_path / "model.pth", tmp_path / "out").plan.entries) == 4


def test_unpacking_goes_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a limit of some hundred bytes, all values still come, in small pieces."""
    from torch2flow.checkpoints.packed import bitsandbytes, packed_tensor, with_packed

    for module in (bitsandbytes, packed_tensor):
        monkeypatch.setattr(module, "CHUNK", 1024)
    expected = open_checkpoint(FILES / "expected.safetensors")
    for name in NAMES:
        weight = with_packed(open_checkpoint(FILES / f"{name}.pt").tree, dict)["0.weight"]
        assert isinstance(weight, PackedTensor) and weight.unpack is not None
        pieces = [*weight.unpack()]
        assert len(pieces) > 1 and max(piece.nbytes for piece in pieces) <= 4096, name
        whole = np.concatenate(pieces).reshape(weight.shape)
        assert np.allclose(whole, expected[name].numpy().astype("f4"), rtol=1e-2, atol=1e-6), name
