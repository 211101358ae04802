"""torch2flow: PyTorch checkpoints become OneFlow checkpoints, bit for bit, with neither of them installed.

    >>> import torch2flow
    >>> result = torch2flow.convert("model.pth", "out")
    >>> import oneflow as flow                                        # doctest: +SKIP
    >>> model.load_state_dict(flow.load("out"))                       # doctest: +SKIP

or, straight into a live OneFlow module:

    >>> torch2flow.load_state_dict(model, "model.pth")                # doctest: +SKIP
"""

import sys

# `python -m torch2flow` puts the current folder first in the path for imports. It is taken off before anything is
# imported, even `__future__`: a json.py in a downloaded repository is not to run because someone inspects a file in it.
_SAFE = sys.flags.isolated or getattr(sys.flags, "safe_path", False)
if sys.argv[:1] == ["-m"] and "m torch2flow" in " ".join(sys.orig_argv) and not _SAFE:
    sys.path.pop(0)

from typing import TYPE_CHECKING, Any  # noqa: E402

from torch2flow._version import __version__  # noqa: E402

if TYPE_CHECKING:
    from torch2flow.checkpoints.diffing import Diff, diff
    from torch2flow.checkpoints.opening import open_checkpoint
    from torch2flow.checkpoints.pytorch import Checkpoint
    from torch2flow.checkpoints.writing import Options
    from torch2flow.conversion import Result, convert
    from torch2flow.errors import (
        DifferenceError,
        FormatError,
        InstallationError,
        OutputError,
        Torch2FlowError,
        UnsupportedError,
        UsageError,
    )
    from torch2flow.models.lowering.registry import operator
    from torch2flow.proof.capture import Captured, capture
    from torch2flow.proof.parity import Verification, verify_folder
    from torch2flow.proof.parity.live import verify
    from torch2flow.runtime import import_oneflow
    from torch2flow.runtime.loading import input_placement, load, load_state_dict, to_global, without_values

_PUBLIC = {
    "capture": "torch2flow.proof.capture",
    "Captured": "torch2flow.proof.capture",
    "convert": "torch2flow.conversion",
    "Result": "torch2flow.conversion",
    "Diff": "torch2flow.checkpoints.diffing",
    "Options": "torch2flow.checkpoints.writing",
    "operator": "torch2flow.models.lowering.registry",
    "open_checkpoint": "torch2flow.checkpoints.opening",
    "Checkpoint": "torch2flow.checkpoints.pytorch",
    "import_oneflow": "torch2flow.runtime",
    "load": "torch2flow.runtime.loading",
    "load_state_dict": "torch2flow.runtime.loading",
    "to_global": "torch2flow.runtime.loading",
    "input_placement": "torch2flow.runtime.loading",
    "without_values": "torch2flow.runtime.loading",
    "diff": "torch2flow.checkpoints.diffing",
    "verify": "torch2flow.proof.parity.live",
    "verify_folder": "torch2flow.proof.parity",
    "Verification": "torch2flow.proof.parity",
    "Torch2FlowError": "torch2flow.errors",
    "DifferenceError": "torch2flow.errors",
    "FormatError": "torch2flow.errors",
    "InstallationError": "torch2flow.errors",
    "OutputError": "torch2flow.errors",
    "UnsupportedError": "torch2flow.errors",
    "UsageError": "torch2flow.errors",
}
"""Where each public name lives; found on first use, so that `torch2flow --help` does not wait for the rest."""

__all__ = [
    "Captured",
    "Checkpoint",
    "Diff",
    "DifferenceError",
    "FormatError",
    "InstallationError",
    "Options",
    "OutputError",
    "Result",
    "Torch2FlowError",
    "UnsupportedError",
    "UsageError",
    "Verification",
    "__version__",
    "capture",
    "convert",
    "diff",
    "import_oneflow",
    "input_placement",
    "load",
    "load_state_dict",
    "open_checkpoint",
    "operator",
    "to_global",
    "verify",
    "verify_folder",
    "without_values",
    "zoo",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "zoo":
        return import_module("torch2flow.zoo")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'torch2flow' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
