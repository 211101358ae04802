"""Names of outputs that would mislead: a suffix of another program's, or a folder that hides a Python module."""

from __future__ import annotations

import difflib
import importlib.util
import keyword
import sys
from pathlib import Path

from torch2flow.conversion.formats import SUFFIXES
from torch2flow.errors import UsageError

FOREIGN = (
    ".onnx", ".h5", ".hdf5", ".keras", ".pb", ".tflite", ".gguf", ".ggml", ".npz", ".npy", ".msgpack", ".pkl",
    ".pickle", ".zip", ".tar", ".gz", ".pdparams", ".pdiparams", ".mlmodel", ".engine",
    ".trt", ".pt2", ".json", ".py",
)  # fmt: skip
"""Suffixes of files that torch2flow does not write; a folder of such a name would be taken for one."""

NEEDED = frozenset({"oneflow", "numpy", "torch2flow", "flowvision", "torch"})
"""What a converted model, or the program that uses it, imports."""


def check_suffix(out: Path) -> None:
    """Refuses a suffix that names a format of others, or one of ours as it is not spelled.

    Raises:
        UsageError: it does.
    """
    suffix = out.suffix
    if not suffix or suffix in SUFFIXES:
        return
    near = difflib.get_close_matches(suffix.lower(), SUFFIXES, 1, 0.8)
    if near or suffix.lower() in FOREIGN:
        raise UsageError(
            f"torch2flow writes no {suffix[:20]}: without --format, this would become a folder of that name.",
            where=str(out),
            remedy=f"did you mean {near[0]}?" if near else f"choose another name, or one of {', '.join(SUFFIXES)}",
        )


def check_package(out: Path) -> str:
    """Refuses the name of a package that would hide what a program needs; returns what else there is to say of it.

    A folder with a model is imported by its name, and a folder in front of the path hides an installed package.

    Args:
        out: the folder, which holds or will hold an `__init__.py`.

    Raises:
        UsageError: it hides Python's own module, OneFlow or what it needs, or a file of the user's.
    """
    name = out.name
    hidden = ""
    if name in sys.stdlib_module_names:
        hidden = f"Python's own module {name!r}"
    elif name in NEEDED:
        hidden = f"the package {name!r}"
    elif (out.parent / f"{name}.py").exists():
        hidden = f"your {name}.py, which lies beside it"
    if hidden:
        raise UsageError(
            f"A model in a folder of this name would hide {hidden} where it is imported.",
            where=str(out),
            remedy=f"choose another name, such as -o {name}_flow, or write the checkpoint alone with --weights-only",
        )
    if keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is a word of Python's: no program can import a model from a folder of this name.",
            where=str(out),
            remedy=f"choose another name, such as -o {name}_model",
        )
    if _is_installed(name, out):
        return f"a package {name!r} is installed: where this folder is in front of it, the folder is what is imported"
    return ""


def _is_installed(name: str, out: Path) -> bool:
    if not name.isidentifier():
        return False
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    origin = spec.origin if spec is not None else None
    return origin is not None and "site-packages" in Path(origin).parts and Path(origin).parent != out
