"""`make demo` runs to its end, what it prints can be repeated by hand, and it would notice a difference."""

from __future__ import annotations

import math
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.oneflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo-out"


@pytest.fixture(scope="module")
def printed(folder: Path, oneflow_python: Path) -> str:
    command = [oneflow_python, "scripts/demo.py", "--out", folder]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_both_examples_are_equal(printed: str) -> None:
    rows = re.findall(r"(flow\.load|load_state_dict) +(\d+) of (\d+) .* (ok|not equal)$", printed, re.M)
    assert rows == [
        ("flow.load", "2", "2", "ok"),
        ("load_state_dict", "2", "2", "ok"),
        ("flow.load", "16", "16", "ok"),
        ("load_state_dict", "16", "16", "ok"),
    ]
    assert "equal, in" in printed


def test_what_is_printed_is_what_ran(printed: str, folder: Path) -> None:
    for script in folder.glob("*/*.py"):
        shown = "\n".join(f"  {line}" for line in script.read_text("utf-8").splitlines())
        assert shown in printed


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_shows_what_it_prints(page: str, printed: str) -> None:
    block = re.search(r"^```text\n(Measured .*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)
    assert block is not None
    start = printed.index("Measured ")
    fresh = printed[start : printed.index("By hand", start)]
    assert words(block[1]) == words(fresh)


def words(text: str) -> list[str]:
    """What is said, but for the numbers measured and the width."""
    return re.sub(r"\d\.\d+(e-\d+)?", "0", text).replace("\u2500", "").split()


def test_the_commands_it_names_work_by_hand(printed: str, folder: Path) -> None:
    commands = [line.removeprefix("$ ") for line in printed.splitlines() if line.startswith("$ ")]
    assert len(commands) == 5
    script = "\n".join(commands).replace("2-alexnet", "1-linear")
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "All keys matched" in done.stdout
    assert "2 tensors loaded" in done.stdout


@pytest.mark.parametrize(
    ("identical", "difference", "passed"),
    [(2, 3e-8, True), (2, 3.1e-8, False), (1, 0.0, False), (2, math.nan, False), (0, 0.0, False)],
)
def test_a_difference_would_be_noticed(identical: int, difference: float, passed: bool) -> None:
    measurement = runpy.run_path(str(ROOT / "scripts" / "demo.py"))["Measurement"]
    assert measurement("flow.load", identical, 2, difference, 1e-8).passed is passed
