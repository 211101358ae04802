"""What a user has who only converts: the core dependencies, and neither PyTorch nor OneFlow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.oneflow  # it starts .venv-core by itself: once is enough


def test_the_environment_is_bare(run_python: Callable[..., str], core_python: Path) -> None:
    script = """
import importlib
for name in ("torch", "oneflow", "flowvision", "torchvision"):
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    print(name)
"""
    assert run_python(core_python, script) == ""


def test_every_module_imports_with_the_core_dependencies_alone(
    run_python: Callable[..., str], core_python: Path
) -> None:
    """What they import beside the standard library is what pyproject.toml names, and what that needs."""
    script = """
import importlib, importlib.metadata as metadata, json, pkgutil, re, sys
before = set(sys.modules)
import torch2flow
for module in pkgutil.walk_packages(torch2flow.__path__, "torch2flow."):
    # The classes are source to be copied into models: they import OneFlow, and nothing imports them.
    if not module.name.endswith("__main__") and ".modules.classes." not in module.name:
        importlib.import_module(module.name)
allowed, todo = set(), ["torch2flow"]
while todo:
    name = todo.pop()
    if name in allowed:
        continue
    allowed.add(name)
    for line in metadata.requires(name) or []:
        if ";" not in line:
            todo.append(re.match(r"[\\w.-]+", line).group().lower())
owners = metadata.packages_distributions()
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
foreign = {
    name: owners[name] for name in loaded - set(sys.stdlib_module_names)
    if name in owners and not {owner.lower() for owner in owners[name]} & allowed
}
print(json.dumps(foreign))
"""
    assert json.loads(run_python(core_python, script)) == {}


def test_a_checkpoint_converts(
    run_cli: Callable[..., tuple[int, str, str]], core_python: Path, fixtures: Path, tmp_path: Path
) -> None:
    source = fixtures / "torch-1.6.0" / "state_dict-zip.pth"
    code, _, stderr = run_cli("convert", source, "-o", tmp_path / "out", interpreter=core_python)
    assert code == 0, stderr
    assert (tmp_path / "out" / "manifest.json").exists()
