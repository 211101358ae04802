"""What names give in ported code is what PyTorch gives: expressions of real code, a file for each family.

Each line is evaluated with PyTorch 1.13 and with OneFlow behind PyTorch's names: a substitute where there is one.
Values, dtypes and shapes are compared, and gradients where a line begins with `grad`. All substitutes for methods are
installed on OneFlow's tensors meanwhile, so that one which calls what it replaces is found.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ported import try_all

FOLDER = Path(__file__).parent / "expressions"


@pytest.mark.oneflow
@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_expressions_give_what_pytorch_gives(file: Path, oneflow_python: Path, tmp_path: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    found = try_all(lines, oneflow_python, tmp_path)
    assert {line: wrong for line, wrong in found.items() if wrong} == {}
    assert len(found) == len(set(lines))


@pytest.mark.oneflow
def test_what_the_port_itself_writes_gives_what_pytorch_gives(oneflow_python: Path, tmp_path: Path) -> None:
    lines = FOLDER.with_name("as_ported.txt").read_text("utf-8").splitlines()
    found = try_all(lines, oneflow_python, tmp_path, "--as-ported")
    assert {line: wrong for line, wrong in found.items() if wrong} == {}
    assert len(found) == len(set(lines))


@pytest.mark.oneflow
def test_without_substitutes_they_differ(oneflow_python: Path, tmp_path: Path) -> None:
    lines = ["torch.sort(x)", "F.linear(v, q)", "-j", "torch.where(b, x, 0.0)", "torch.relu(x)"]
    found = try_all(lines, oneflow_python, tmp_path, "--plain")
    assert [line for line, wrong in found.items() if not wrong] == ["torch.relu(x)"]
