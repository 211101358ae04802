"""A user's own operator: refused with all that is missing, then converted by a rule (docs/lowering.md)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

NET = """
import torch

@torch.library.custom_op("mylib::scale_shift", mutates_args=())
def scale_shift(x: torch.Tensor, scale: float, shift: float = 0.0) -> torch.Tensor:
    return x * scale + shift

@scale_shift.register_fake
def _(x, scale, shift=0.0):
    return torch.empty_like(x)

class Act(torch.nn.Module):
    def forward(self, x):
        return scale_shift(x, 2.0, 0.5)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.act = Act()

    def forward(self, x):
        return torch.relu(self.act(x))
"""

RULES = """
import torch2flow

@torch2flow.operator("mylib.scale_shift")
def scale_shift(x, scale, shift=0.0):
    return x * scale + shift
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("custom")
    (folder / "nets.py").write_text(NET)
    command = [ROOT / ".venv-torch" / "bin" / "torch2flow", "capture", "nets.py:Net", "-o", "net.pt2"]
    subprocess.run([*command, "--input", "float32[batch,3]", "-q"], cwd=folder, check=True)
    (folder / "rules.py").write_text(RULES)
    return folder / "net.pt2"


@pytest.mark.oneflow
def test_an_unknown_operator_is_named_with_its_place(model: Path, run_cli) -> None:
    code, _, error = run_cli("convert", str(model), "-o", str(model.parent / "no"))
    assert code == 4
    assert "mylib.scale_shift.default: once in act (nets.py:" in error
    assert not (model.parent / "no").exists()


@pytest.mark.oneflow
def test_partial_writes_a_stub_that_raises(model: Path, run_cli) -> None:
    code, _, _ = run_cli("convert", str(model), "-o", str(model.parent / "partial"), "--partial")
    assert code == 0
    assert 'missing_operator("mylib.scale_shift.default"' in (model.parent / "partial" / "model.py").read_text()


@pytest.mark.oneflow
def test_a_dry_run_reports_it_and_writes_nothing(model: Path, run_cli) -> None:
    code, output, _ = run_cli("convert", str(model), "-o", str(model.parent / "dry"), "--dry-run", "--json")
    assert code == 0
    (missing,) = json.loads(output)["model"]["missing"]
    assert (missing["operator"], missing["module"]) == ("mylib.scale_shift.default", "act")
    assert not (model.parent / "dry").exists()


@pytest.mark.oneflow
def test_a_rule_makes_it_plain_code(model: Path, run_cli) -> None:
    rules = str(model.parent / "rules.py")
    code, _, error = run_cli("convert", str(model), "-o", str(model.parent / "out"), "--rules", rules)
    assert code == 0, error
    assert "x * 2.0 + 0.5" in (model.parent / "out" / "model.py").read_text()


@pytest.mark.oneflow
def test_a_file_of_rules_that_fails_is_one_clear_error(model: Path, run_cli) -> None:
    broken = model.parent / "broken.py"
    broken.write_text("1 / 0")
    code, _, error = run_cli("convert", str(model), "-o", str(model.parent / "x"), "--rules", str(broken))
    assert code == 2
    assert "ZeroDivisionError" in error and "Traceback" not in error
