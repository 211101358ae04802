"""The examples in docstrings run: in a folder with a `model.pth`, without PyTorch and without OneFlow."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"


def modules_with_examples() -> list[str]:
    names = []
    for path in sorted(SOURCE.rglob("*.py")):
        if ">>>" in path.read_text("utf-8"):
            parts = path.relative_to(SOURCE).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(fixtures / "torch-2.13.0" / "state_dict-zip.pth", tmp_path / "model.pth")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    output: list[str] = []
    for found in finder.find(module, name, extraglobs={"importlib": importlib}):
        runner.run(found, out=output.append)
    assert runner.failures == 0, "".join(output)
