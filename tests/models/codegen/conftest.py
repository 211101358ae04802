"""The cases, captured once a session by PyTorch in `.venv-torch`, and each converted once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from made_once import CAPTURING, made_once

from torch2flow.conversion import Result, convert

sys.path.insert(0, str(Path(__file__).parent))
import programs


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory, torch_python: Path) -> Path:
    """A folder with the `.pt2`, the recording and the keys of every case."""

    def capture(folder: Path) -> None:
        command = [str(torch_python), programs.__file__, str(folder)]
        done = subprocess.run(command, env={"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    depends = [*CAPTURING, Path(programs.__file__), *(programs.halves(name)[0] for name in programs.NAMES)]
    folder = made_once("cases", depends, capture, tmp_path_factory.mktemp("cases"))
    assert not (errors := {path.stem: path.read_text() for path in folder.glob("*.error")}), errors
    return folder


@pytest.fixture(scope="session")
def converted(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    """`converted(name)` is the result of converting a case, done once."""
    folder = tmp_path_factory.mktemp("converted")
    return cache(lambda name: convert(cases / f"{name}.pt2", folder / name))
