"""`make demo` runs to its end, what it prints can be repeated by hand, and it would notice a difference."""

from __future__ import annotations

import math
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torch2flow.proof.parity import measure

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.oneflow


@pytest.fixture(scope="module")
def folder(demo: Any) -> Path:
    return Path(demo.folder)


@pytest.fixture(scope="module")
def printed(demo: Any) -> str:
    return str(demo.printed)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the script defines."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return runpy.run_path(str(ROOT / "scripts" / "demo.py"))


def test_all_examples_are_equal(printed: str) -> None:
    rows = re.findall(r"(flow\.load|load_state_dict|load_model) +(\d+) of (\d+) .* (ok|not equal)$", printed, re.M)
    assert rows == [
        ("flow.load", "2", "2", "ok"),
        ("load_state_dict", "2", "2", "ok"),
        ("flow.load", "16", "16", "ok"),
        ("load_state_dict", "16", "16", "ok"),
        ("load_model", "122", "122", "ok"),
        ("load_model", "29", "29", "ok"),
    ]
    assert re.findall(r"^ +other sizes .* (ok|not equal)$", printed, re.M) == ["ok", "ok"]
    assert len(re.findall(r"within noise: All \d+ tensors", printed)) == 2, "verified layer by layer, and in training"
    assert "equal, in" in printed


def test_the_source_it_shows_is_what_was_written(printed: str, folder: Path) -> None:
    for path, name in (("3-resnet18/resnet18/model.py", "BasicBlock"), ("4-gpt2/gpt2/model.py", "GPT2Attention")):
        source = (folder / path).read_text("utf-8")
        block = source[source.index(f"class {name}(") :].partition("\n\n\n")[0]
        assert "\n".join(f"  {line}" for line in block.splitlines()) in printed


def test_what_is_printed_is_what_ran(printed: str, folder: Path) -> None:
    for script in folder.glob("*/*.py"):
        shown = "\n".join(f"  {line}" for line in script.read_text("utf-8").splitlines())
        assert shown in printed


def test_the_documentation_shows_what_it_prints(printed: str) -> None:
    page = ROOT / "docs" / "installation.md"
    block = re.search(r"^```text\n(Measured .*?)^```$", page.read_text("utf-8"), re.M | re.S)
    assert block is not None
    start = printed.index("Measured ")
    fresh = printed[start : printed.index("By hand", start)]
    assert words(block[1]) == words(fresh)


def words(text: str) -> list[str]:
    """What is said, but for the numbers measured, and the width."""
    return re.sub(r"(?<!\w)\d+(\.\d+)?(e-\d+)?(?!\w)", "0", text).replace("\u2500", "").split()


def test_the_commands_it_names_work_by_hand(printed: str, folder: Path) -> None:
    commands = [line.removeprefix("$ ") for line in printed.splitlines() if line.startswith("$ ")]
    assert len(commands) == 8
    script = "\n".join(commands).replace("2-alexnet", "1-linear").replace("3-resnet18", "4-gpt2")
    script = script.replace("resnet18", "gpt2")
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "All keys matched" in done.stdout
    assert "2 tensors loaded" in done.stdout
    assert "within noise: All " in done.stdout


@pytest.mark.parametrize(
    ("identical", "difference", "passed"),
    [(2, 3e-8, True), (2, 3.1e-8, False), (1, 0.0, False), (2, math.nan, False), (0, 0.0, False)],
)
def test_a_difference_would_be_noticed(script: dict[str, Any], identical: int, difference: float, passed: bool) -> None:
    assert script["Measurement"]("flow.load", identical, 2, difference, 1e-8).passed is passed


def test_a_fault_is_no_measure(script: dict[str, Any]) -> None:
    found = measure(np.zeros(3), np.ones(4), np.ones(4, np.float32))
    assert not script["measurement"]("load_model", (2, 2), found, 2.0).passed


def test_without_todays_pytorch_it_says_what_to_do(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["demo.py", "--out", str(tmp_path)])
    monkeypatch.setitem(script["main"].__globals__, "TORCH", tmp_path / ".venv-torch" / "bin" / "python")
    assert script["main"]() == 6
    assert "make setup" in capsys.readouterr().out
