"""What all tests share: the environments made by scripts/setup.sh, and ways to run things in them.

Where a test runs is decided by what it needs in its own process. The fixture `flow` gives OneFlow and marks
the test `oneflow`; the fixture `torch` gives PyTorch and marks it `torch`. So import neither package at the head of a
test file. A test that starts a process is marked `child`, and `make quick` leaves it out. `make test` runs everything
in .venv, all but `oneflow` in .venv-torch, and what has neither mark in .venv-core; but what is slow and needs neither,
processes and attacks, is marked `once`, and runs in .venv-core alone.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
from process_search import starts_a_process

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"

RunPython = Callable[..., str]
RunCli = Callable[..., tuple[int, str, str]]
MakeEnvironment = Callable[..., Path]

INTERPRETERS = {"oneflow_python", "torch_python", "core_python", "misfits"}
"""Fixtures that name an interpreter, which a test has no other use for than to start it."""


ATTACKS = Path(__file__).resolve().parent / "attacks"

# A process that holds PyTorch, OneFlow and thousands of results spent a twelfth of its time looking for circles.
gc.set_threshold(100_000, 50, 50)

os.environ["LANGUAGE"] = "en"  # what is printed here is compared, whatever the developer's language is

hypothesis.settings.register_profile("the same each time", derandomize=True)
if "TORCH2FLOW_FUZZ_SECONDS" not in os.environ:  # `make attacks` draws others each time
    hypothesis.settings.load_profile("the same each time")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test with what it needs, before `-m` is applied: from its fixtures, and those that they use."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for fixture, marker in (("flow", "oneflow"), ("torch", "torch")):
            if fixture in fixtures:
                item.add_marker(marker)
        if fixtures & INTERPRETERS or starts_a_process(item):
            item.add_marker("child")
        slow = item.get_closest_marker("child") or ATTACKS in item.path.parents
        if slow and not (item.get_closest_marker("oneflow") or item.get_closest_marker("torch")):
            item.add_marker("once")


@pytest.fixture(scope="session")
def flow() -> ModuleType:
    """OneFlow in this process."""
    from torch2flow.runtime import import_oneflow

    return import_oneflow()


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """PyTorch in this process."""
    import torch

    return torch


def _interpreter(environment: str) -> Path:
    python = ROOT / environment / "bin" / "python"
    if not python.exists():
        pytest.fail(f"{environment} is not there: run make setup", pytrace=False)
    return python


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of checkpoint files that real PyTorch wrote."""
    return FIXTURES


@pytest.fixture(scope="session")
def oneflow_python() -> Path:
    """Python 3.10 with OneFlow 0.9.0 and torch 1.13.1."""
    return _interpreter(".venv")


@pytest.fixture(scope="session")
def torch_python() -> Path:
    """Python 3.11 or newer with today's PyTorch."""
    return _interpreter(".venv-torch")


@pytest.fixture(scope="session")
def core_python() -> Path:
    """The newest Python at hand, with neither OneFlow nor PyTorch."""
    return _interpreter(".venv-core")


@pytest.fixture(scope="session")
def misfits() -> Path:
    """A folder of releases that OneFlow breaks with, each installed alone: numpy (2), protobuf (4)."""
    folder = ROOT / ".venv-misfits"
    if not (folder / ".stamp").exists():
        pytest.fail(f"{folder.name} is not there: run make setup", pytrace=False)
    return folder


def clean_environment(**extra: str) -> dict[str, str]:
    """An environment that no variable of the caller's leaks into, but where to find things."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "OMP_NUM_THREADS") if name in os.environ
    }
    return {**kept, "LANGUAGE": "en", "PYTHONDONTWRITEBYTECODE": "1", **extra}


@pytest.fixture(scope="session")
def run_python() -> RunPython:
    """`run_python(interpreter, script, *args, env={}, cwd=None)` runs a text and returns what it printed."""

    def run(
        interpreter: Path,
        script: str,
        *args: object,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        command = [str(interpreter), "-c", script, *map(str, args)]
        environment = clean_environment(**(env or {}))
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd or ROOT, check=False)
        assert done.returncode == 0, f"{interpreter} ended with {done.returncode}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """`run_cli(*args)` runs the command line; returns (exit code, stdout, stderr), never with a traceback."""

    def run(
        *args: object,
        interpreter: Path | None = None,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> tuple[int, str, str]:
        command = [str(interpreter or sys.executable), "-m", "torch2flow", *map(str, args)]
        # A fixed width: tables must not depend on the terminal the tests run in.
        environment = clean_environment(COLUMNS="160", **(env or {}))
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd or ROOT, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def make_environment(tmp_path: Path, oneflow_python: Path) -> MakeEnvironment:
    """`make_environment(without=("nvidia",), plus=[folder])`: .venv with packages left out or replaced.

    A real environment, made of links in a fraction of a second. `oneflow` and `nvidia` are folders of links,
    so that OneFlow looks for its libraries in the copy. `without` takes names as they lie in site-packages
    (`name*` for all that start so). Returns the interpreter.
    """

    def make(*, without: tuple[str, ...] = (), plus: tuple[Path, ...] = ()) -> Path:
        folder = tmp_path / "environment"
        subprocess.run([oneflow_python, "-m", "venv", "--without-pip", folder], check=True)
        source = next(oneflow_python.parent.parent.glob("lib/python3.*/site-packages"))
        target = next(folder.glob("lib/python3.*/site-packages"))
        for entry in source.iterdir():
            if not any(Path(entry.name).match(pattern) for pattern in without):
                _link(entry, target / entry.name)
        for extra in plus:
            for entry in extra.iterdir():
                _link(entry, target / entry.name)
        return folder / "bin" / "python"

    return make


def _link(entry: Path, name: Path) -> None:
    if entry.name in ("oneflow", "nvidia"):
        name.mkdir()
        for part in entry.iterdir():
            (name / part.name).symlink_to(part)
    else:
        name.symlink_to(entry)


@dataclass(frozen=True)
class Demo:
    """What `make demo` leaves behind, once for those who try things in it and once as it was, and what it prints."""

    folder: Path
    untouched: Path
    printed: str


@pytest.fixture(scope="session")
def demo(oneflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One run of `make demo` for all tests."""
    folder = tmp_path_factory.mktemp("demo") / "demo-out"
    command = [oneflow_python, "scripts/demo.py", "--out", folder]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    untouched = tmp_path_factory.mktemp("untouched") / "demo-out"
    shutil.copytree(folder, untouched)
    return Demo(folder, untouched, done.stdout)
