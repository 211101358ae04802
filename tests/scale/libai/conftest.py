"""What the tests of LiBai's models share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from made_once import made_once

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def folder(torch_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small random models of transformers', a folder each."""

    def make(made: Path) -> None:
        command = [torch_python, "-W", "ignore", "-m", "tests.scale.libai.make_checkpoints", made]
        done = subprocess.run(command, cwd=HERE.parents[2], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return made_once("transformers", [HERE / "make_checkpoints.py"], make, tmp_path_factory.mktemp("transformers"))
