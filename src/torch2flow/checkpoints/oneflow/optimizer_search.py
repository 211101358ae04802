"""Finds the optimizer states in a tree and maps them; everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch2flow.checkpoints.oneflow.optimizers import is_oneflow_state, is_pytorch_state, to_oneflow, to_pytorch

_NOT_A_STATE = (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError)

Mapping = Callable[[dict[str, Any]], tuple[dict[str, Any], list[str]]]

SEARCH_DEPTH = 6
"""How deep optimizer states are looked for. Lightning keeps them at `optimizer_states.0`."""


def adapt_optimizers(tree: Any) -> tuple[Any, list[str]]:
    """Turns PyTorch's optimizer states in a tree into OneFlow's; notes everything that has no counterpart."""
    notes: list[str] = []
    return _map(tree, "", is_pytorch_state, to_oneflow, notes, SEARCH_DEPTH), notes


def restore_optimizers(tree: Any) -> tuple[Any, list[str]]:
    """The way back."""
    notes: list[str] = []
    return _map(tree, "", is_oneflow_state, to_pytorch, notes, SEARCH_DEPTH), notes


def _map(value: Any, path: str, is_state: Callable[[Any], bool], mapping: Mapping, notes: list[str], depth: int) -> Any:
    if is_state(value):
        try:
            mapped, said = mapping(value)
        except _NOT_A_STATE as error:
            # Its options are whatever the file says; where no arithmetic can be done on them it is no optimizer's.
            mapped, said = value, [f"not mapped, as no optimizer keeps such a state ({type(error).__name__}: {error})"]
        notes.extend(f"{path or 'optimizer'}: {sentence[:500]}" for sentence in said)
        return mapped
    if depth and isinstance(value, dict | list | tuple):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        changed = {}
        for key, item in members:
            if isinstance(item, dict | list | tuple):
                new = _map(item, f"{path}.{key}" if path else str(key), is_state, mapping, notes, depth - 1)
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
