"""The names that hold at one place of a body, and what each stands for."""

from __future__ import annotations

from torch2flow.models.codegen.borders import parts, same_content
from torch2flow.models.program import Structure

Environment = dict[str, Structure]
Path = tuple[int | str, ...]


def find(environment: Environment, value: str) -> tuple[str, Structure, Path] | None:
    """The name under which a value can be reached, what the name stands for, and the way to the value inside it."""
    nested = None
    for name, structure in environment.items():
        if structure.kind == "value":
            if structure.value == value:
                return name, structure, ()
        elif nested is None and structure.children:
            path = next((path for path, part in parts(structure) if part.kind == "value" and part.value == value), None)
            nested = None if path is None else (name, structure, path)
    return nested


def find_whole(environment: Environment, structure: Structure) -> tuple[str, Structure, Path] | None:
    """The name under which a tuple, list, dict or object can be reached, as `find`."""
    for name, held in environment.items():
        for path, part in parts(held):
            if part.children and same_content(part, structure):
                return name, held, path
    return None


def find_list(environment: Environment, values: list[str]) -> str:
    """The name of a list or tuple of just these values; "" where there is none."""
    for name, held in environment.items():
        if held.kind in ("list", "tuple") and [part.value for part in held.children] == values:
            return name
    return ""
