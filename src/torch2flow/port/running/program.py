"""A PyTorch program that is run on OneFlow: where it is, and its code as `__main__`."""

from __future__ import annotations

import builtins
import importlib.util
import os
import signal
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from torch2flow.errors import UsageError
from torch2flow.guards.regular_files import is_regular, read_whole
from torch2flow.port.cache import Cache, default_folder
from torch2flow.port.running.import_hook import Porter, PortingFinder, install

ALONG = frozenset(
    {
        "accelerate", "apex", "clip", "detectron2", "diffusers", "fairscale", "fvcore", "ignite", "kornia", "lightning",
        "lpips", "mmcv", "mmengine", "open_clip", "peft", "pytorch_lightning", "pytorch_msssim",
        "segmentation_models_pytorch", "sentence_transformers", "taming", "thop", "timm", "torch_geometric",
        "torchdiffeq", "torchinfo", "torchmetrics", "torchsde", "torchsummary", "torchviz", "transformers",
        "x_transformers",
    }
)  # fmt: skip
"""Installed packages that import PyTorch, and are ported on their way in. `--with` adds others."""


VARIABLE = "TORCH2FLOW_RUN"
"""In the environment of a running program: what it is, for the processes that it starts."""


@dataclass(slots=True)
class RunRequest:
    """What is run.

    Attributes:
        name: the script, or a module's name.
        as_module: it is a module's name.
        along: packages that are ported, beside those in `ALONG`.
        rules: files of the user's own substitutes.
        is_cached: what was ported before may be taken, and is kept.
    """

    name: str
    as_module: bool = False
    along: Sequence[str] = ()
    rules: Sequence[str] = ()
    is_cached: bool = True


def prepare(request: RunRequest) -> PortingFinder:
    """Imports OneFlow, and has everything ported that is imported from now on.

    Raises:
        Torch2FlowError: OneFlow is not there, or the user's own rules fail.
    """
    from torch2flow.runtime.importing import import_oneflow

    interrupt = signal.getsignal(signal.SIGINT)
    import_oneflow()
    signal.signal(signal.SIGINT, interrupt)  # OneFlow ends the process by a handler of its own
    rules = ""
    if request.rules:
        from torch2flow.port.own_rules import load_own_rules

        rules = load_own_rules(map(Path, request.rules))
    cache = Cache(default_folder() if request.is_cached else None)
    return install(sorted({*ALONG, *request.along}), cache, rules)


def main_file(request: RunRequest, porter: Porter) -> tuple[str, str]:
    """The name of the module that is run, and its file. Puts the folder of both into `sys.path`, as Python does.

    Raises:
        UsageError: there is no such program.
    """
    try:
        Path.cwd()
    except OSError:
        if request.as_module or not Path(request.name).is_absolute():
            raise UsageError("The current folder is gone.", remedy="change into one that exists") from None
    if request.as_module:
        return _file_of_module(request.name, porter)
    file = Path(request.name)
    folder = file if file.is_dir() else file.resolve().parent
    if file.is_dir():
        file /= "__main__.py"
    if not is_regular(file):
        raise UsageError(
            "There is no such program.", where=str(file), remedy="give a script, or -m and a module's name"
        )
    if zipfile.is_zipfile(file):
        raise UsageError(
            "This is an archive of a program.",
            where=str(file),
            remedy="unpack it, and give the folder with __main__.py",
        )
    _search_first(folder)
    return "__main__", os.path.abspath(file)


def _file_of_module(name: str, porter: Porter) -> tuple[str, str]:
    top, here = name.partition(".")[0], Path.cwd()
    files = (here / f"{top}.py", here / top / "__init__.py", here / top / "__main__.py")
    # A folder without any of them is a package too, but not before one that is installed.
    if any(map(is_regular, files)) or ((here / top).is_dir() and porter.find(top, None) is None):
        _search_first(here)  # as `python -m` does, but only where the program itself lies there
    porter.along |= {top}
    found = porter.located(name)
    if found.folders:
        name = f"{name}.__main__"
        found = porter.located(name)
    if not found.file:
        raise UsageError(
            f"There is no module {name!r} written in Python.",
            remedy="give the path of a script, or the name of a module that Python finds",
        )
    return name, found.file


def _search_first(folder: Path) -> None:
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.abspath(folder))


def fill_main(names: dict[str, Any], name: str, file: str, finder: PortingFinder) -> None:
    """Runs a file in the names of a module that is no import of it, as Python runs its `__main__`."""
    spec = importlib.util.find_spec(name) if name != "__main__" else None  # this imports the packages around it
    names.update(
        __file__=file, __spec__=spec, __package__=spec.parent if spec else None, __cached__=None,
        __loader__=spec.loader if spec else SourceFileLoader("__main__", file), __builtins__=builtins,
    )  # fmt: skip
    exec(finder.code(name, file, read_whole(file), False), names)
