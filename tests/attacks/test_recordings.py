"""Recordings that were edited by hand or made to exhaust: `verify` says one sentence, and never runs out of time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from torch2flow.errors import FormatError, Torch2FlowError
from torch2flow.proof.parity import verification
from torch2flow.proof.parity.comparison_run import Request
from torch2flow.proof.parity.ledger import Ledger
from torch2flow.proof.parity.reference import Reference

from .command_line import Ran, chosen, report, run_here
from .mutations import mutations

TENSORS = {
    "input.0": [4], "input.1.0": [4], "input.1.1": [4], "input.mask.a": [4], "second.input.0": [4], "output.0": [4],
    "float64/output.0": [4], "outputs.conv#0.0": [4], "own/outputs.conv#0.0": [4], "train.gradient.conv.weight": [4],
    "train.adamw.conv.weight": [4], "inputs.conv#0.0": [4],
}  # fmt: skip
NOTES: dict[str, Any] = {
    "calls": [
        {
            "name": "conv#0",
            "kind": "Conv2d",
            "fed": True,
            "inputs": ["inputs.conv#0.0"],
            "outputs": ["outputs.conv#0.0"],
        },
        {"name": "a.b#1", "kind": "ReLU", "fed": False, "inputs": [], "outputs": [], "passes": True},
    ],
    "state_dict": ["conv.weight", "conv.bias"],
    "adamw": {"lr": 0.1, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1},
    "weights": {"conv.weight": "0123456789abcdef"},
    "modules": ["", "conv", "a.b"],
    "outline": ["dict", [["logits", ["tensor", "float32"]]]],
    "spread": {"output.0": 1e-7},
    "random_calls": {"eval": [], "train": [["a.b", "dropout", 0.5, "dropout"]]},
    "random": {"draws": 100, "tensors": ["output.0"]},
    "trainable": ["conv.weight"],
}
TEXTS = {"lr": "0.01", "mode": "train", "torch": "2.13.0", "model": "nets:Net", "float64": "recorded"}


def recording(path: Path, tensors: dict[str, list[int]], metadata: dict[str, Any]) -> None:
    """Writes a file of safetensors with such tensors, and metadata as JSON where they are no text."""
    header: dict[str, Any] = {}
    for number, (name, shape) in enumerate(tensors.items()):
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [16 * number, 16 * number + 16]}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    raw = json.dumps({**header, "__metadata__": texts}).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(16 * len(tensors)))


def read_all(folder: Path, reference: Reference, request: Request, ledger: Ledger, say: Any) -> dict[str, str]:
    """Stands for the process in which OneFlow runs: reads all that it would read of a recording."""
    for row in reference.calls.values():
        for name in (*row.inputs, *row.outputs):
            reference.array(name)
            reference.own_exact(name)
    for prefix in ("", "second."):
        reference.inputs(lambda name, array: array, prefix)
    for prefix in ("output.", "train.gradient.", "train.step.", "train.sgd."):
        list(reference.pairs(prefix))
    _ = reference.random, reference.draws, reference.spread
    _ = reference.learning_rate, reference.notes.get("adamw"), reference.notes.get("weights"), reference.state
    ledger.fail("nothing", "it was not run")
    return {}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A converted model, as far as `verify` looks before OneFlow runs."""
    rows = [{"name": name, "dtype": "float32", "shape": [4], "bytes": 16} for name in NOTES["state_dict"]]
    keys = {"rules": [["conv.{name}", "stem.{name}"]], "flow_only": []}
    manifest = {
        "schema": 1,
        "format": "folder",
        "tensors": [{**row, "name": row["name"].replace("conv", "stem")} for row in rows],
    }
    zoo = {"keys": keys, "older": {"rules": [], "flow_only": []}, "key": "."}
    for name, content in (("plain", {**manifest, "tensors": rows}), ("twin", {**manifest, "zoo": zoo})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").touch()
        (tmp_path / name / "manifest.json").write_text(json.dumps(content))
    monkeypatch.setattr(verification, "compare_isolated", read_all)
    return tmp_path


def verify(folder: Path, kind: str, tensors: dict[str, list[int]], metadata: dict[str, Any]) -> Ran:
    """What becomes of `verify` with such a recording."""
    path = folder / "x.reference.safetensors"
    recording(path, tensors, metadata)
    return run_here("verify", folder / kind, "--reference", path, "--json")


def test_a_sound_one_is_read(folder: Path) -> None:
    assert not verify(folder, "plain", TENSORS, {**NOTES, **TEXTS}).fault
    assert run_here("verify", folder / "twin", "--reference", folder / "x.reference.safetensors").code == 1


def test_every_field_of_its_metadata(folder: Path) -> None:
    cases = [(kind, value) for _, value in mutations({**NOTES, **TEXTS}) for kind in ("plain", "twin")]
    runs = [verify(folder, kind, TENSORS, value) for kind, value in chosen(cases, 500)]
    report("recordings edited by hand", runs)


NAMES = [
    *("input.10000000000", "input.300", "input.-1", "input.", "input..", "input.0.0", "input.²", "input.٣", "output."),
    *("input." + "9" * 5000, "input" + ".0" * 3000, "input." + "x" * 60_000, "second.input.5", "float64/", "own/", "x"),
    *(
        "float64/train.step.",
        "inputs.#",
        "inputs.conv#" + "9" * 3000 + ".0",
        "outputs." + "a#" * 20_000,
        "\ud800",
        "\0",
    ),
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_tensors_of_odd_names(name: str, folder: Path) -> None:
    for kind in ("plain", "twin"):
        assert not verify(folder, kind, {**TENSORS, name: [4]}, {**NOTES, **TEXTS}).fault
        assert not verify(folder, kind, {name: [4]}, {"calls": [{**NOTES["calls"][0], "inputs": [name]}]}).fault


def test_a_list_is_made_of_all_its_indices_only(folder: Path) -> None:
    path = folder / "x.safetensors"
    recording(path, {"input.0.0": [4], "input.0.1": [4], "input.2.5": [4]}, {})
    args, _ = Reference(path).inputs(lambda name, array: 1)
    assert args == [[1, 1], None, {"5": 1}]
    recording(path, {"input.10000000000": [4]}, {})
    with pytest.raises(FormatError, match="none of a model's"):
        Reference(path).inputs(lambda name, array: 1)


@pytest.mark.parametrize("content", [b"", b"{", b"\x80\x02}.", b"\x80\x02X\x07\0\0\0input.0q\0." * 9])
def test_what_is_no_recording(content: bytes, folder: Path) -> None:
    path = folder / "x.reference.safetensors"
    path.write_bytes(content)
    assert run_here("verify", folder / "plain", "--reference", path).code == 3


def test_many_calls_and_many_names(folder: Path) -> None:
    """Each of both is allowed; what is done with them together must not cost their product."""
    calls = [{**NOTES["calls"][0], "name": f"layer{n}#0", "inputs": [], "outputs": []} for n in range(20_000)]
    names = [f"layer{n}.weight" for n in range(20_000)]
    for kind in ("plain", "twin"):
        assert not verify(folder, kind, TENSORS, {"calls": calls, "state_dict": names}).fault
    with pytest.raises(Torch2FlowError):
        (folder / "x.reference.safetensors").write_bytes(b"")
        Reference(folder / "x.reference.safetensors")
