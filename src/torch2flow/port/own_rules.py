"""The user's own substitutes: files that are run, and what stands for their content."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from torch2flow.models.lowering.listing import load_rules
from torch2flow.port.cache import content_digest


def load_own_rules(paths: Iterable[Path]) -> str:
    """Runs files of rules; returns what changes whenever one of them does, or a module that they import.

    Raises:
        UsageError: one is missing, or fails.
    """
    before, files = set(sys.modules), list(paths)
    for path in files:
        load_rules(path)
    found = [getattr(sys.modules[name], "__file__", None) for name in sorted(set(sys.modules) - before)]
    read = [Path(each) for each in (*files, *found) if each and Path(each).suffix == ".py"]
    return content_digest("".join(content_digest(each.read_bytes()) for each in read).encode()) if files else ""
