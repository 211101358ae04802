"""What a repository says of PyTorch beside its code: requirements and instructions are listed, not touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from torch2flow.port.findings import PortFinding

_FILES = re.compile(
    r"(.*/)?(requirements[^/]*\.txt|environment[^/]*\.ya?ml|pyproject\.toml|setup\.cfg|README[^/]*|Dockerfile)"
)
_LINE = re.compile(
    r"""^\s*(?:-\s*|["'])?(torch|torchvision|torchaudio|pytorch)\b(?![\w-]*\s*:\s*\n)\s*(?:[=<>~!\[;"',]|$)"""
)
_INSTALL = re.compile(r"\b(?:pip3?|conda|mamba|uv)\b.*\binstall\b.*\b(torch|torchvision|pytorch)\b")
MOST = 1 << 20


def packaging_findings(path: str, file: Path) -> Iterator[PortFinding]:
    """The lines that ask for PyTorch to be installed."""
    if not _FILES.fullmatch(path) or file.stat().st_size > MOST:
        return
    for number, line in enumerate(file.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        found = _INSTALL.search(line) or (None if "README" in path else _LINE.match(line))
        if found:
            reason = f"It asks for {found[1]}, which the ported code does not import."
            yield PortFinding(path, number, "look", found[1], reason, "put oneflow there, or take it out")
