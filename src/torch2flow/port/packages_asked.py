"""Copied into ported code that asks whether PyTorch is installed, and which version: OneFlow is in its place."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import Any


def find_spec(name: str, package: str | None = None) -> Any:
    """As `importlib.util.find_spec`, and OneFlow's for PyTorch."""
    root, _, rest = name.partition(".")
    if root != "torch":
        return importlib.util.find_spec(name, package)
    try:
        return importlib.util.find_spec(f"oneflow.{rest}" if rest else "oneflow")
    except ModuleNotFoundError:
        return None


def version(distribution_name: str) -> str:
    """As `importlib.metadata.version`, and for PyTorch the version whose names ported code may call."""
    return "2.0.1" if distribution_name == "torch" else importlib.metadata.version(distribution_name)
