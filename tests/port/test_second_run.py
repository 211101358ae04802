"""A second port of an unchanged tree takes what the first one kept, and is the same; any change is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from torch2flow.port import porting
from torch2flow.port.cache import Cache
from torch2flow.port.own_rules import load_own_rules
from torch2flow.port.porting import Port
from torch2flow.port.tree import read_tree

FILES = {
    "nets/__init__.py": "from .common import *\nx = torch.outer\n",
    "nets/common.py": "import torch\n",
    "plain.py": "x = 1\n",
    "train.py": "import torch\ny = torch.linalg.eig\n",
    "cells.ipynb": '{"cells": [{"cell_type": "code", "source": "import torch\\ntorch.ones(1)"}]}',
    "requirements.txt": "torch\n",
    "data.bin": "1",
    "broken.py": "x = (\n",
}


@pytest.fixture
def ported_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ports into two folders; returns both, and whether the second was ported anew."""
    count: list[str] = []
    rewriter = porting.Rewriter

    def counting(source, module, *rest):
        count.append(module.path)
        return rewriter(source, module, *rest)

    monkeypatch.setattr(porting, "Rewriter", counting)

    def run(source: Path, between=lambda: None, **options):
        results = []
        for name in ("one", "two"):
            out = tmp_path / name / source.name
            out.parent.mkdir(exist_ok=True)
            count.clear()
            work = Port(read_tree(source, out), cache=Cache(tmp_path / "cache"), **options)
            found = work.write(out, False).to_json()
            found.pop("out")
            files = (
                {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
                if out.is_dir()
                else {path.name: path.read_bytes() for path in out.parent.iterdir()}
            )
            results.append((found, files))
            if name == "one":
                between()
        return results[0], results[1], bool(count)

    return run


def test_a_folder_and_a_file(ported_twice, write_tree, tmp_path) -> None:
    source = write_tree(FILES)
    first, second, again = ported_twice(source)
    assert first == second and not again
    assert {"nets/flow_compat.py", "flow_compat.py", "data.bin", "plain.py"} <= set(first[1])
    for name in ("one", "two"):
        for path in sorted((tmp_path / name).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    first, second, again = ported_twice(source / "train.py")
    assert first == second and not again and set(first[1]) == {"train.py", "flow_compat.py"}


@pytest.mark.parametrize("path", ["nets/common.py", "plain.py", "cells.ipynb", "requirements.txt", "new.py"])
def test_whatever_changes_is_seen(path: str, ported_twice, write_tree) -> None:
    source = write_tree(FILES)

    def change() -> None:
        before = (source / path).read_text() if (source / path).exists() else "x = 1\n"
        (source / path).write_text(before.replace("torch", "torch, torch.nn").replace("x = 1", "x = 2"))

    first, second, again = ported_twice(source, change)
    assert again and first[1][path if path in first[1] else "plain.py"] is not None
    assert second[1][path] != first[1].get(path)


def test_a_file_that_is_only_data_may_change(ported_twice, write_tree) -> None:
    source = write_tree(FILES)
    _, second, again = ported_twice(source, lambda: (source / "data.bin").write_text("2") and None)
    assert not again and second[1]["data.bin"] == b"2"


def test_a_file_that_changes_while_it_is_read_is_not_kept(write_tree, tmp_path, monkeypatch) -> None:
    source = write_tree({"a.py": "import torch\nx = torch.outer\n"})
    cache = Cache(tmp_path / "cache")
    work = Port(read_tree(source), cache=cache)
    (source / "a.py").write_text("import torch\nx = torch.can_cast\n")
    assert work.check().compat["flow_compat.py"] == {"torch.can_cast"}
    (source / "a.py").write_text("import torch\nx = torch.outer\n")
    assert Port(read_tree(source), cache=cache).check().compat["flow_compat.py"] == {"torch.outer"}


def test_own_rules_are_another_key_whatever_of_them_changes(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_own_rules([]) == ""
    (tmp_path / "rules_a.py").write_text("import helper_of_rules_a\n")
    (tmp_path / "helper_of_rules_a.py").write_text("x = 1\n")
    first = load_own_rules([tmp_path / "rules_a.py"])
    import sys

    sys.modules.pop("helper_of_rules_a")
    (tmp_path / "helper_of_rules_a.py").write_text("x = 12\n")
    assert load_own_rules([tmp_path / "rules_a.py"]) != first != ""
