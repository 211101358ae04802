"""The built wheel has all that the package needs, and works where no checkout is: what a user installs is that."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_NEEDED = {".po"}
"""Endings of files that only developers read."""


@pytest.fixture(scope="module")
def wheel(oneflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git keeps: a build leaves folders behind, and may find old ones."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in tracked("src", "pyproject.toml", "README.md", "LICENSE"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    command = [oneflow_python, "-I", "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", copy, copy]
    subprocess.run(command, check=True)
    (built,) = copy.glob("*.whl")
    return built


def tracked(*paths: str) -> list[str]:
    """The files below some paths that git keeps."""
    command = ["git", "ls-files", *paths]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        found = {name for name in file.namelist() if ".dist-info/" not in name}
    wanted = {name.removeprefix("src/") for name in tracked("src") if Path(name).suffix not in NOT_NEEDED}
    assert found == wanted


def test_it_converts_ports_and_speaks_chinese(
    wheel: Path, run_python: Callable[..., str], core_python: Path, fixtures: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text("import torch\n\ndef net(x):\n    return torch.logaddexp(x, x)\n")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    script = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import torch2flow
from torch2flow.cli import main
assert torch2flow.__file__.startswith(sys.path[0])
sys.argv[0] = "torch2flow"
sys.exit(main())
"""

    def ran(*words: object, **env: str) -> str:
        return run_python(core_python, script, tmp_path / "site", *words, env=env, cwd=tmp_path)

    ran("convert", fixtures / "torch-2.13.0/state_dict-zip.pth", "-o", "out")
    ran("check", "out")
    ran("port", "net.py", "-o", "ported.py")
    assert "def logaddexp" in (tmp_path / "flow_compat.py").read_text("utf-8")
    assert "转换" in ran("--help", LANGUAGE="zh_CN", PYTHONUTF8="1")
