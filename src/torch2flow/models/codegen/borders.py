"""What crosses the border of a module call: values, and the tuples, lists, dicts and objects that hold them.

    position_embeddings       a tuple of two values: `cos, sin = position_embeddings`
    features                  a list, to which the caller appends between two calls

A `Structure` is such a thing; its leaves are values of the program, constants, or nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch2flow.models.codegen.names import is_name, record_name
from torch2flow.models.program import Structure

NOTHING = Structure("none")


def leaf(value: str) -> Structure:
    """One value of the program."""
    return Structure("value", value)


def loose(values: list[str]) -> Structure:
    """What a module gives of which nothing was recorded: its one value, or a tuple of them."""
    if not values:
        return NOTHING
    return leaf(values[0]) if len(values) == 1 else Structure("tuple", children=tuple(map(leaf, values)))


def is_leaf(structure: Structure) -> bool:
    """Whether it is a value, a constant or nothing, and holds no other structures."""
    return structure.kind in ("value", "constant", "none", "unknown")


def pruned(structure: Structure, kept: Iterable[str]) -> Structure:
    """The structure with None for each value that is not among `kept`; an object without named fields is a tuple."""
    kept = set(kept)

    def visit(part: Structure) -> Structure:
        if part.kind == "unknown" or (part.kind == "value" and part.value not in kept):
            return NOTHING
        if not part.children:
            return part
        named = part.kind in ("tuple", "list", "dict") or is_record(part)
        return replace(
            part,
            kind=part.kind if named else "tuple",
            names=part.names if named else (),
            children=tuple(map(visit, part.children)),
        )

    return visit(structure)


def same_content(left: Structure, right: Structure) -> bool:
    """Whether two structures hold the same, whichever Python objects they are."""
    return (
        (left.kind, left.names, len(left.children)) == (right.kind, right.names, len(right.children))
        and (not is_leaf(left) or left.value == right.value)
        and all(map(same_content, left.children, right.children))
    )


def parts(structure: Structure) -> Iterator[tuple[tuple[int | str, ...], Structure]]:
    """The structure and all inside it, each with the indices and keys that lead there."""
    yield (), structure
    for position, child in enumerate(structure.children):
        for path, part in parts(child):
            yield (_key(structure, position), *path), part


def _key(structure: Structure, position: int) -> int | str:
    return position if structure.kind in ("tuple", "list") else structure.names[position]


def at(expression: ast.expr, structure: Structure, path: tuple[int | str, ...]) -> ast.expr:
    """`encoder_outputs.last_hidden_state`, `features[0]`, `batch["image"]`: a part of what `expression` is."""
    for key in path:
        if structure.kind in ("tuple", "list", "dict"):
            expression = ast.Subscript(expression, ast.Constant(key), ast.Load())
        else:
            assert isinstance(key, str)
            expression = ast.Attribute(expression, key, ast.Load())
        position = key if isinstance(key, int) else structure.names.index(key)
        structure = structure.children[position]
    return expression


def is_record(structure: Structure) -> bool:
    """Whether it is an object of a class with fields: a NamedTuple, a dataclass, a ModelOutput."""
    fields = structure.names
    has_fields = len(fields) == len(structure.children) and all(is_name(each) and each[0] != "_" for each in fields)
    return not is_leaf(structure) and structure.kind not in ("tuple", "list", "dict") and has_fields


def records_in(structure: Structure) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The objects with fields in a structure: the name of each class, and the fields that are not None."""
    for _, part in parts(structure):
        if is_record(part):
            fields = zip(part.names, part.children, strict=True)
            yield record_name(part.kind), tuple(n for n, each in fields if each.kind != "none")
