"""Real models of torchvision with random weights, and what they compute."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

Recorded = Callable[[str], Path]


@pytest.fixture(scope="session")
def recorded(oneflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """`recorded("swin_t")` is a folder with the model's `weights.pth` and `recording.safetensors`, made once."""
    made: dict[str, Path] = {}

    def record(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name.replace("/", "-"))
            command = [oneflow_python, "-m", "scripts.zoo_models", name, made[name]]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return made[name]

    return record
