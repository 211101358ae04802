"""docs/transformers.md is true: its commands and its code run in order, and both sides print the same."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/transformers.md").read_text("utf-8")

NMS = """
import sys, torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""Today's torchvision has no build for today's PyTorch here."""

SECTIONS = dict(re.findall(r"^## (\w+).*?\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


@pytest.fixture(scope="module")
def flow_modules(torch_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has beside OneFlow: the package `tokenizers`, and a copy of the example."""
    folder = tmp_path_factory.mktemp("modules")
    (package,) = torch_python.parent.parent.glob("lib/python3.*/site-packages/tokenizers")
    (folder / "tokenizers").symlink_to(package)
    shutil.copy(ROOT / "examples/generate.py", folder)
    return folder


@pytest.mark.oneflow
@pytest.mark.parametrize("section", ["Text", "Images", "Speech"])
def test_a_section_runs_and_both_sides_agree(
    section: str, run_python: Any, torch_python: Path, oneflow_python: Path, flow_modules: Path, tmp_path: Path
) -> None:
    printed: dict[str, list[str]] = {"PyTorch": [], "OneFlow": []}
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", SECTIONS[section], re.M | re.S):
        if language == "python":
            side = "PyTorch" if code.startswith("# where PyTorch is") else "OneFlow"
            shown = _run(run_python, side, code, torch_python, oneflow_python, flow_modules, tmp_path)
            printed[side] += shown.strip().splitlines()
        for line in code.splitlines() if language == "sh" else []:
            words = line.split()
            side = "PyTorch" if words[1] == "capture" else "OneFlow"
            command = f"from torch2flow.cli import main\nsys.argv = {words!r}\nsys.exit(main())"
            _run(run_python, side, f"import sys\n{command}", torch_python, oneflow_python, flow_modules, tmp_path)
    theirs, ours = printed["PyTorch"][-1], printed["OneFlow"][0]
    if section == "Images":
        assert json.loads(ours) == pytest.approx(json.loads(theirs), abs=0.05)
    else:
        assert ours == theirs


def _run(
    run_python: Any, side: str, code: str, torch_python: Path, oneflow_python: Path, modules: Path, folder: Path
) -> str:
    python, before = (torch_python, NMS) if side == "PyTorch" else (oneflow_python, "import sys\n")
    path = f"sys.path[:0] = {[str(folder)] + [str(modules)] * (side == 'OneFlow')!r}\n"
    found: str = run_python(python, before + path + code, cwd=folder, env={"OMP_NUM_THREADS": "1"})
    return found
