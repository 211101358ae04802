"""Every file that a real PyTorch wrote is read, and gives what that PyTorch itself says it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from comparison import CASES, case_id, expected_of, sha256

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import flatten

DESCRIBED_OTHERWISE = {
    "storage": "a bare storage is read as the one-dimensional tensor that it is",
    "nested": "the jagged one is a Python class over its parts, which are read",
    "wrapper": "a Python class over tensors, which are read as its parts",
}
"""Layouts of `expected.json` that have another form here, and why."""

NO_BUFFERS = {("torch-1.6.0", "scripted_constants.pt"): "offset"}
"""PyTorch 1.6 listed plain tensor attributes in a state dict; its archives already tell them apart."""


def dense(tensor: Tensor) -> dict[str, Any]:
    assert isinstance(tensor, TensorRef)
    assert hashlib.sha256(tensor.numpy().tobytes()).hexdigest() == sha256(tensor), "numpy() and chunks() differ"
    return {"shape": list(tensor.shape), "sha256": sha256(tensor)}


def all_tensors(checkpoint: Checkpoint, expected: dict[str, Any]) -> dict[str, Tensor]:
    tree = checkpoint.at(".").tree
    if "constants" in expected:  # a .pt2: torch describes its state_dict
        tree = tree["state_dict"]
    return dict(flatten(tree))


@pytest.mark.parametrize(("folder", "name"), CASES, ids=case_id)
def test_every_tensor_is_what_pytorch_says(folder: Path, name: str) -> None:
    expected = expected_of(folder, name)
    checkpoint = open_checkpoint(folder / name)
    assert checkpoint.format == expected["format"]
    found = all_tensors(checkpoint, expected)
    for key, told in expected["tensors"].items():
        layout = told.get("layout", "strided")
        if layout in DESCRIBED_OTHERWISE or NO_BUFFERS.get((folder.name, name)) == key:
            continue
        tensor = found[key]
        assert (tensor.dtype.name, list(tensor.shape)) == (told["dtype"], told["shape"]), key
        assert tensor.requires_grad == told["requires_grad"], key
        if expected["format"] != "torchscript":  # torch itself gives a script module's parameters as plain tensors
            assert tensor.is_parameter == told["parameter"], key
        if layout == "strided":
            assert dense(tensor) == {"shape": told["shape"], "sha256": told["sha256"]}, key
        else:
            assert isinstance(tensor, CompositeTensor) and tensor.layout == layout, key
            for part, about in {
                **told.get("parts", {}),
                **({"int_repr": told["int_repr"]} if "int_repr" in told else {}),
            }.items():
                assert dense(tensor.parts[part])["sha256"] == about["sha256"], f"{key}: {part}"


@pytest.mark.parametrize(("folder", "name"), CASES, ids=case_id)
def test_ties_and_order_are_kept(folder: Path, name: str) -> None:
    expected = expected_of(folder, name)
    checkpoint = open_checkpoint(folder / name, None if "constants" in expected else ".")
    strided = [key for key, told in expected["tensors"].items() if told.get("layout", "strided") == "strided"]
    strided = [key for key in strided if key != NO_BUFFERS.get((folder.name, name))]
    found = [key for key in checkpoint if key in expected["tensors"]]
    assert [key for key in found if key in strided] == strided
    ties = [sorted(group) for group in checkpoint.aliases if checkpoint[group[0]].nbytes]
    for group in expected["ties"]:
        assert sorted(group) in ties


@pytest.mark.parametrize(("folder", "name"), CASES, ids=case_id)
def test_the_weights_are_chosen_without_being_asked(folder: Path, name: str) -> None:
    expected = expected_of(folder, name)
    if "key" in expected:
        checkpoint = open_checkpoint(folder / name)
        assert checkpoint.key == expected["key"]
        inside = [
            key.removeprefix(f"{checkpoint.key}.")
            for key in expected["tensors"]
            if key.startswith(f"{checkpoint.key}.")
        ]
        assert list(checkpoint) == inside


def test_every_layout_is_compared_somewhere() -> None:
    layouts = {
        told.get("layout", "strided")
        for folder, name in CASES
        for told in expected_of(folder, name)["tensors"].values()
    }
    assert layouts >= {"strided", "quantized", "sparse_coo", "sparse_csr", "meta"}
