"""Captured models, converted and run by OneFlow, against what PyTorch recorded; and how their source reads."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sampling import sample

from torch2flow.conversion import convert
from torch2flow.proof.parity import open_reference, verify_folder
from torch2flow.proof.parity.compared_models import load_package

sys.path.insert(0, str(Path(__file__).parent))
from conftest import NAMES, ROOT, TRAINED

pytestmark = pytest.mark.oneflow  # capturing takes minutes: once is enough, where the linter is too

GOLDEN = ROOT / "tests" / "models" / "golden"
GOLDEN_MODELS = [
    "torchvision/resnet18", "torchvision/mobilenet_v3_small", "torchvision/vit_b_32", "torchvision/swin_t",
    "transformers/gpt2", "transformers/bert", "transformers/t5",
]  # fmt: skip


def file_of(captured: Path, name: str) -> Path:
    return captured / f"{name.replace('/', '-')}-dynamic.pt2"


@pytest.mark.parametrize("name", sample(NAMES, set(NAMES) - {"torchvision/vit_b_32"}))  # which is large
def test_a_converted_model_computes_what_pytorch_does(
    name: str, captured: Path, tmp_path: Path, flow: ModuleType
) -> None:
    """Outputs at two sizes, every layer, and for some training; keys and their order as PyTorch has them."""
    model = file_of(captured, name)
    reference = open_reference(model)
    assert reference is not None
    convert(model, tmp_path / "out")
    built = load_package(tmp_path / "out").load_model()
    assert list(built.state_dict()) == json.loads(reference.metadata["state_dict"])
    found = verify_folder(tmp_path / "out", model)
    assert found.faithful, found.sentence
    assert ("gradients" in found.parts) == (name in TRAINED) and "own" in found.parts


@pytest.mark.parametrize("name", GOLDEN_MODELS)
def test_the_source_reads_as_it_did(name: str, captured: Path, tmp_path: Path) -> None:
    """The source of well-known models is kept; `make golden` writes it anew."""
    result = convert(file_of(captured, name), tmp_path / "out")
    golden = GOLDEN / f"{name.rpartition('/')[2]}.py"
    assert result.model_source is not None
    if os.environ.get("TORCH2FLOW_GOLDEN"):
        golden.write_text(result.model_source.text, "utf-8")
    assert result.model_source.text == golden.read_text("utf-8")


def test_generated_source_is_lint_clean_and_formatted() -> None:
    files = [str(path) for path in sorted(GOLDEN.glob("*.py"))]
    lint = ["ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,W,I,B,UP"]
    for arguments in (lint, ["black", "--check", "--line-length", "100"]):
        done = subprocess.run([sys.executable, "-m", *arguments, *files], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_generated_source_imports_oneflow_alone() -> None:
    for path in GOLDEN.glob("*.py"):
        imported = {
            alias.name if isinstance(node, ast.Import) else node.module
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert imported <= {
            "oneflow",
            "oneflow.nn",
            "oneflow.nn.functional",
            "collections",
            "math",
            "pathlib",
            "typing",
        }


def test_the_resnet18_is_no_longer_than_torchvisions_own_code() -> None:
    """The issue's measure: BasicBlock, ResNet and what they need, as torchvision 0.27.0 has them: 229 lines."""
    assert (GOLDEN / "resnet18.py").read_text("utf-8").count("\n") <= 229
