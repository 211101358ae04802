"""Porting needs neither PyTorch nor OneFlow: what it writes is compared as text, and run where OneFlow is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from torch2flow.port.porting import Port, Ported
from torch2flow.port.tree import read_tree


@pytest.fixture
def write_tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes files, given by their paths, into a folder `src`."""

    def write(files: dict[str, str], name: str = "src") -> Path:
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def port(tmp_path: Path) -> Callable[..., tuple[Path, Ported]]:
    """Ports a file or folder into `out`, and gives that and what was found."""

    def run(source: Path, name: str = "out", overwrite: bool = False) -> tuple[Path, Ported]:
        out = tmp_path / name
        return out, Port(read_tree(source, out)).write(out, overwrite)

    return run


@pytest.fixture
def ported(write_tree: Callable[..., Path], port: Callable[..., tuple[Path, Ported]]) -> Callable[[str], str]:
    """Ports the text of one file."""

    def run(text: str) -> str:
        source = write_tree({"nets.py": text})
        out, _ = port(source / "nets.py", "flow_nets.py", overwrite=True)
        return out.read_text("utf-8")

    return run
