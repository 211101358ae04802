"""Finds the states of optimizers and schedulers in a tree and maps them; everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch2flow.checkpoints.oneflow import optimizers, schedulers
from torch2flow.checkpoints.pickles import label

_NOT_A_STATE = (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError)

Mapping = Callable[[dict[str, Any]], tuple[dict[str, Any], list[str]]]
Mappings = tuple[tuple[str, Callable[[Any], bool], Mapping], ...]
"""What a state is called, how it is known, and what it becomes."""


def _scaler(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    scale = state["scale"]
    shown = f", such as init_scale={scale}" if isinstance(scale, int | float) else ""
    return state, [
        f"a GradScaler's state is left as it is: OneFlow's is for graphs, and takes it in its constructor{shown}"
    ]


TO_ONEFLOW: Mappings = (
    ("optimizer", optimizers.is_pytorch_state, optimizers.to_oneflow),
    ("scheduler", schedulers.is_pytorch_state, schedulers.to_oneflow),
    ("scaler", lambda value: isinstance(value, dict) and value.keys() == schedulers.GRAD_SCALER, _scaler),
)
TO_PYTORCH: Mappings = (
    ("optimizer", optimizers.is_oneflow_state, optimizers.to_pytorch),
    ("scheduler", schedulers.is_oneflow_state, schedulers.to_pytorch),
)

RANDOM = ("rng_state", "rng_states", "random_state", "random_states")
"""How the names end under which random number states are kept."""

SEARCH_DEPTH = 6
"""How deep they are looked for. Lightning keeps optimizers at `optimizer_states.0`."""


def adapt_training(tree: Any) -> tuple[Any, list[str]]:
    """Turns PyTorch's states in a tree into OneFlow's; notes everything that has no counterpart."""
    notes: list[str] = []
    adapted = _map(tree, "", TO_ONEFLOW, notes, SEARCH_DEPTH)
    random = [label(name) for name, value in _items(tree) if label(name).endswith(RANDOM) and value is not None]
    if random:
        notes.append(
            f"{', '.join(random)}: PyTorch's random numbers, left as they are: OneFlow's generators are others"
        )
    return adapted, notes


def restore_training(tree: Any) -> tuple[Any, list[str]]:
    """The way back."""
    notes: list[str] = []
    return _map(tree, "", TO_PYTORCH, notes, SEARCH_DEPTH), notes


def _items(tree: Any) -> list[tuple[Any, Any]]:
    return list(tree.items()) if isinstance(tree, dict) else []


def _map(value: Any, path: str, mappings: Mappings, notes: list[str], depth: int) -> Any:
    found = next(((name, mapping) for name, is_state, mapping in mappings if is_state(value)), None)
    if found is not None:
        name, mapping = found
        try:
            mapped, said = mapping(value)
        except _NOT_A_STATE as error:
            # Its options are whatever the file says; where no arithmetic can be done on them it is no optimizer's.
            mapped, said = value, [f"not mapped, as no {name} keeps such a state ({type(error).__name__}: {error})"]
        notes.extend(f"{path or name}: {sentence[:500]}" for sentence in said)
        return mapped
    if depth and isinstance(value, dict | list | tuple):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        changed = {}
        for key, item in members:
            if isinstance(item, dict | list | tuple):
                new = _map(item, f"{path}.{key}" if path else str(key), mappings, notes, depth - 1)
                if new is not item:
                    changed[key] = new
        return _with(value, changed) if changed else value
    return value


def _with(value: Any, changed: dict[Any, Any]) -> Any:
    """A copy of a container with some members replaced."""
    if isinstance(value, tuple):
        return type(value)(changed.get(index, item) for index, item in enumerate(value))
    copy = value.copy()
    for key, item in changed.items():
        copy[key] = item
    if hasattr(value, "attributes"):
        copy.attributes = value.attributes
    return copy
