"""A decoder captured with its cache generates in OneFlow what transformers' `generate` gives, token for token."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from torch2flow import convert
from torch2flow.errors import UsageError
from torch2flow.proof.capture.request import capture_named
from torch2flow.proof.parity import verify_folder
from torch2flow.proof.parity.compared_models import load_package

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/support/tiny_transformers.py"
PROMPT = [[5, 17, 42, 3, 8], [9, 1, 30, 64, 2]]


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What examples/generate.py defines."""
    held: dict[str, Any] = {"__name__": "generate"}
    exec(compile((ROOT / "examples/generate.py").read_text(), "generate.py", "exec"), held)
    return held


@pytest.fixture(scope="module")
def steps(torch_python: Path, run_python: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    names = [f"{name}:step" for name in ("llama", "gpt2", "qwen2", "mistral", "llama_half", "t5", "bart", "whisper")]
    run_python(torch_python, TINY.read_text(), folder, *names)
    return folder


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2", "mistral"])
def test_a_loop_in_oneflow_gives_the_tokens_of_generate(
    name: str, flow: ModuleType, steps: Path, example: dict[str, Any]
) -> None:
    out = steps / f"{name}_flow"
    convert(steps / f"{name}.pt2", out)
    model = load_package(out).load_model()
    config = json.loads((steps / name / "config.json").read_text())
    nothing = example["nothing_yet"](config, batch=2)
    found = example["generate"](model, flow.tensor(PROMPT), nothing, new=12)
    assert found.tolist() == json.loads((steps / f"{name}.json").read_text())
    drawn = [example["generate"](model, flow.tensor(PROMPT), nothing, 12, temperature=2.0).tolist() for _ in range(2)]
    assert drawn[0] != drawn[1] and [row[:5] for row in drawn[0]] == PROMPT


@pytest.mark.parametrize("name", ["t5", "bart", "whisper"])
def test_an_encoder_and_a_decoder_give_them_too(
    name: str, flow: ModuleType, steps: Path, example: dict[str, Any]
) -> None:
    built = {}
    for part in (name, f"{name}_encoder"):
        convert(steps / f"{part}.pt2", steps / f"{part}_flow")
        built[part] = load_package(steps / f"{part}_flow").load_model()
    read = flow.tensor(np.load(steps / f"{name}.npy"))
    encoder = built[f"{name}_encoder"]
    states = (encoder(read) if name == "whisper" else encoder(read, flow.ones_like(read))).last_hidden_state
    config = json.loads((steps / name / "config.json").read_text())
    start = flow.full((2, 1), config["decoder_start_token_id"], dtype=flow.int64)
    step, nothing = example["with_states"](built[name], states), example["nothing_yet"](config, batch=2)
    assert example["generate"](step, start, nothing, new=12).tolist() == json.loads(
        (steps / f"{name}.json").read_text()
    )


@pytest.mark.parametrize("name", ["mistral", "llama_half"])
def test_the_step_is_verified_with_its_keys_and_values(name: str, flow: ModuleType, steps: Path) -> None:
    convert(steps / f"{name}.pt2", steps / f"{name}_verified")
    found = verify_folder(steps / f"{name}_verified", steps / f"{name}.reference.safetensors")
    assert found.faithful, found.sentence
    assert len(found.ledger.parts["outputs"]) == 7 and "Float64 could not" not in found.sentence


def test_what_is_no_decoder_in_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--cache is for a decoder in a folder"):
        capture_named("torch.nn:Linear(4, 3)", ["float32[2,4]"], tmp_path / "net.pt2", cache=True)
