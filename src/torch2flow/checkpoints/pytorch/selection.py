"""Which part of a checkpoint is *the* state dict, by a rule a person can read.

1. The whole, if it is a state dict (a flat mapping of names to tensors) or a pickled module.
2. Otherwise the first of `NAMES` at the top level that holds tensors and is no optimizer state. Where that is a
   dictionary of parts again, one of which has a name of `INNER`, it is that part.
3. Otherwise the only part that holds tensors, optimizer states aside, if it is a state dict or a pickled module.
4. Otherwise the whole: nothing is left out unasked.

`--key PATH` takes any other part, `--key .` the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch2flow.checkpoints.pickles import Opaque, label
from torch2flow.checkpoints.pytorch.tensor import CompositeTensor, TensorRef
from torch2flow.checkpoints.pytorch.tree import is_flat, is_module

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

INNER = ("state_dict", "model_state_dict", "model_state")
"""Names that mean a state dict also one level deeper: `{"model": {"state_dict": ..., "args": ...}}`."""

SEARCH_DEPTH = 4
MAX_VISITED = 1 << 14


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
    return Search().classify(value)


def holds_tensors(value: Any) -> bool:
    """Whether there is a tensor within a few levels."""
    return Search().holds_tensors(value, 0)


def find_candidates(root: Any) -> list[Candidate]:
    """Every state dict, module and optimizer state within a few levels, outermost first."""
    search = Search()
    search.walk(root, "", 0)
    return search.found


class Search:
    """One search. It visits each object once: `x = [x] * 10_000`, done five times, has 10**20 leaves."""

    def __init__(self) -> None:
        self.found: list[Candidate] = []
        self.barren: set[tuple[int, int]] = set()
        self.kinds: dict[int, str] = {}
        self.visited = 0

    def classify(self, value: Any) -> str:
        if id(value) not in self.kinds:
            self.kinds[id(value)] = self._kind(value)
        return self.kinds[id(value)]

    def _kind(self, value: Any) -> str:
        if is_module(value):
            return "module"
        if not isinstance(value, dict) or not value:
            return ""
        if "param_groups" in value and "state" in value:
            return "optimizer state"
        if is_flat(value):
            return "state dict"
        tensors = sum(isinstance(item, TensorRef | CompositeTensor) for item in value.values())
        nested = any(isinstance(item, dict | list | tuple) and self.holds_tensors(item, 0) for item in value.values())
        modules = any(is_module(item) for item in value.values())
        named = all(isinstance(key, str) for key in value)
        return "state dict" if tensors and named and not nested and not modules else ""

    def holds_tensors(self, value: Any, depth: int) -> bool:
        if isinstance(value, TensorRef | CompositeTensor) or is_module(value):
            return True
        if depth > SEARCH_DEPTH or not isinstance(value, dict | list | tuple):
            return False
        if (id(value), depth) in self.barren:
            return False
        members = value.values() if isinstance(value, dict) else value
        if any(self.holds_tensors(item, depth + 1) for item in members):
            return True
        self.barren.add((id(value), depth))
        return False

    def walk(self, value: Any, path: str, depth: int) -> None:
        self.visited += 1
        if self.visited > MAX_VISITED:
            return
        kind = self.classify(value)
        if kind:
            tensors = (
                sum(isinstance(item, TensorRef | CompositeTensor) for item in value.values())
                if kind == "state dict"
                else 0
            )
            self.found.append(Candidate(path or ".", kind, tensors))
            return
        if depth < SEARCH_DEPTH and isinstance(value, dict | list | tuple):
            members = value.items() if isinstance(value, dict) else enumerate(value[:64])
            for key, item in members:
                if self.visited <= MAX_VISITED and isinstance(item, dict | list | tuple | Opaque):
                    step = label(key)
                    self.walk(item, f"{path}.{step}" if path else step, depth + 1)


def choose(root: Any) -> tuple[str, str]:
    """Chooses the path that is taken without `--key`, and says why."""
    search = Search()
    kind = search.classify(root)
    if kind:
        return ".", f"the file holds one {kind}"
    if isinstance(root, dict):
        for name in NAMES:
            part = root.get(name)
            if search.classify(part) != "optimizer state" and search.holds_tensors(part, 0):
                reason = f"{name!r} is the first of the usual names for a state dict"
                inner = next(
                    (each for each in INNER if isinstance(part, dict) and _is_weights(search, part.get(each))), ""
                )
                return (f"{name}.{inner}", f"{reason}, and holds one of them again") if inner else (name, reason)
        parts = [
            name
            for name, part in root.items()
            if search.holds_tensors(part, 0) and search.classify(part) != "optimizer state"
        ]
        if len(parts) == 1 and isinstance(parts[0], str) and _is_weights(search, root[parts[0]]):
            return parts[0], f"{parts[0][:200]!r} is the only part that holds weights"
    return ".", "no part has a usual name for a state dict"


def _is_weights(search: Search, value: Any) -> bool:
    return search.classify(value) in ("state dict", "module")
