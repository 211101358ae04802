"""Which part of a checkpoint is *the* state dict, by a rule a person can read.

1. The whole, if it is a state dict (a flat mapping of names to tensors) or a pickled module.
2. Otherwise the first of `NAMES` at the top level that holds tensors and is no optimizer state.
3. Otherwise the whole: nothing is left out unasked.

`--key PATH` takes any other part, `--key .` the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch2flow.pickles import Opaque
from torch2flow.pytorch.arrays import NumpyArray
from torch2flow.pytorch.tensor import CompositeTensor, TensorRef
from torch2flow.pytorch.tree import is_module

NAMES = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
)
"""In this order: Lightning and mmengine, PyTorch's tutorials, fairseq and timm, DeepSpeed, then common habit."""

SEARCH_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part that could be converted by itself.

    Attributes:
        path: what `--key` takes.
        kind: `state dict`, `module` or `optimizer state`.
        tensors: how many tensors it holds directly.
    """

    path: str
    kind: str
    tensors: int


def classify(value: Any) -> str:
    """`module`, `state dict`, `optimizer state`, or "" for anything else."""
    if is_module(value):
        return "module"
    if not isinstance(value, dict) or not value:
        return ""
    if "param_groups" in value and "state" in value:
        return "optimizer state"
    tensors = sum(isinstance(item, TensorRef | CompositeTensor) for item in value.values())
    nested = any(isinstance(item, dict | list | tuple) and holds_tensors(item) for item in value.values())
    modules = any(is_module(item) for item in value.values())
    named = all(isinstance(key, str) for key in value)
    return "state dict" if tensors and named and not nested and not modules else ""


def holds_tensors(value: Any, depth: int = 0) -> bool:
    """Whether there is a tensor within a few levels."""
    if isinstance(value, TensorRef | CompositeTensor) or is_module(value):
        return True
    if depth > SEARCH_DEPTH or not isinstance(value, dict | list | tuple):
        return False
    members = value.values() if isinstance(value, dict) else value
    return any(holds_tensors(item, depth + 1) for item in members)


def find_candidates(root: Any) -> list[Candidate]:
    """Every state dict, module and optimizer state within a few levels, outermost first."""
    found: list[Candidate] = []
    _search(root, "", 0, found)
    return found


def _search(value: Any, path: str, depth: int, found: list[Candidate]) -> None:
    kind = classify(value)
    if kind:
        tensors = (
            sum(isinstance(item, TensorRef | CompositeTensor) for item in value.values())
            if kind == "state dict"
            else 0
        )
        found.append(Candidate(path or ".", kind, tensors))
        return
    if depth < SEARCH_DEPTH and isinstance(value, dict | list | tuple) and not isinstance(value, NumpyArray):
        members = value.items() if isinstance(value, dict) else enumerate(value[:64])
        for key, item in members:
            if isinstance(item, dict | list | tuple | Opaque):
                _search(item, f"{path}.{key}" if path else str(key), depth + 1, found)


def choose(root: Any) -> tuple[str, str]:
    """The path taken without `--key`, and why."""
    kind = classify(root)
    if kind:
        return ".", f"the file holds one {kind}"
    if isinstance(root, dict):
        for name in NAMES:
            if name in root and classify(root[name]) != "optimizer state" and holds_tensors(root[name]):
                return name, f"{name!r} is the first of the usual names for a state dict"
    return ".", "no part has a usual name for a state dict"
