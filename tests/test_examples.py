"""The notebooks of examples/ run from top to bottom, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SHELL = """
def shell(command):
    import subprocess
    print(subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout)
"""


@pytest.mark.oneflow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, oneflow_python: Path, torch_python: Path, tmp_path: Path) -> None:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert all(not cell.get("outputs") for cell in cells), "outputs are of one machine, and grow old"
    script = SHELL + re.sub(r"^!(.*)$", r'shell(f"""\1""")', code, flags=re.M)
    path = f"{oneflow_python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TORCH_PYTHON": str(torch_python)}
    (tmp_path / "notebook.py").write_text(script, "utf-8")
    done = subprocess.run(
        [oneflow_python, "notebook.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
