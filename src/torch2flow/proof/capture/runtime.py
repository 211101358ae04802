"""Imports PyTorch, and says how to mend it when it is missing or too old. The one place that imports it."""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch2flow.errors import InstallationError
from torch2flow.runtime.packages import distribution_version, install_command, torch_environment_command

OLDEST = (2, 1)
"""The first release with `torch.export.save`."""


def import_torch() -> Any:
    """Returns the module `torch`.

    Raises:
        InstallationError: it is missing, does not import, or is older than 2.1.
        OSError: the current folder is gone.
    """
    Path.cwd()  # in a folder that is gone, PyTorch's libraries end the process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch = importlib.import_module("torch")
            if version_of(torch) >= OLDEST:
                importlib.import_module("torch.export")
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        raise InstallationError(
            "PyTorch is not installed here, and capturing a model runs it."
            if missing
            else f"PyTorch does not import: {type(error).__name__}: {error}",
            remedy=_command() if missing else "torch2flow doctor",
        ) from None
    if version_of(torch) < OLDEST:
        raise InstallationError(
            f"This PyTorch is {torch.__version__}, and torch.export begins with 2.1.",
            where=str(getattr(torch, "__file__", "")),
            remedy=_command(),
        )
    return torch


def _command() -> str:
    # OneFlow 0.9 holds its environment at NumPy 1 and Python 3.10: today's PyTorch gets one of its own.
    return torch_environment_command() if distribution_version("oneflow") else install_command("torch>=2.1")


def version_of(torch: Any) -> tuple[int, ...]:
    """The release as numbers: (2, 13, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", str(torch.__version__).split("+")[0])[:3])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back the warnings and logs of PyTorch and of the model's libraries: what matters is told by us."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
