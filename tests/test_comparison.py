"""docs/comparison.md says what a run says: OneFlow's own `flow.load` beside torch2flow, on real files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.oneflow


def test_the_table_is_what_a_new_run_gives(oneflow_python: Path) -> None:
    command = [oneflow_python, "scripts/compare_flow_load.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "comparison.md").read_text("utf-8")
    for row in done.stdout.splitlines():
        assert row in page.splitlines(), "the outcome changed: run make docs, and look at the difference"
    assert page.count("\n| ") == done.stdout.count("\n| ") + 1, "a row is gone: run make docs"
