"""Reads what `torch2flow capture` adds to a `.pt2`: the plain values of modules and the signatures of classes.

`proof/capture/facts.py` writes it. Everything is data: a name that is no identifier, a value that is not plain or is
too large, and a key that is not known are passed over, so a newer or a damaged file costs only what it describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch2flow.checkpoints.pytorch.safetensors import parse_json
from torch2flow.models.program.graph import Parameter, Signature, Symbol

LARGEST = 64 << 20
"""A longer text is passed over."""

LONGEST_TEXT, MOST_ITEMS, DEEPEST, MOST_NAMES = 200, 64, 4, 200
_MISSING: Any = object()


def read_facts(text: bytes, where: str) -> dict[str, Any]:
    """The content of the file; empty where there is none.

    Raises:
        FormatError: it is no JSON object.
    """
    return parse_json(text, where) if 0 < len(text) <= LARGEST else {}


def read_attributes(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The plain values that each module holds, by the module's path."""
    found: dict[str, dict[str, Any]] = {}
    for path, held in _entries(facts.get("attributes")):
        if len(path) > LONGEST_TEXT * 5:
            continue
        values = {name: _decode(value) for name, value in _entries(held)[:MOST_NAMES] if name.isidentifier()}
        found[path] = {name: value for name, value in values.items() if value is not _MISSING}
    return {path: values for path, values in found.items() if values}


def read_signatures(facts: Mapping[str, Any]) -> dict[str, Signature]:
    """The signatures of classes, by the class's full name."""
    found: dict[str, Signature] = {}
    for name, row in _entries(facts.get("signatures")):
        if not is_class_name(name) or not isinstance(row, dict):
            continue
        given, forward = row.get("constructor"), row.get("forward")
        if not isinstance(given, list) or not isinstance(forward, list):
            continue
        names = [each.get("name") if isinstance(each, dict) else None for each in given]
        if all(map(_is_name, [*names, *forward])) and len(names) + len(forward) <= MOST_NAMES:
            found[name] = Signature(tuple(map(_parameter, given)), tuple(forward))
    return found


def _parameter(row: dict[str, Any]) -> Parameter:
    keyword_only = row.get("keyword_only") is True
    default = _decode(row["default"]) if "default" in row else _MISSING
    if default is not _MISSING:
        return Parameter(row["name"], False, default, keyword_only)
    if "default" not in row and "object" not in row:
        return Parameter(row["name"], True, None, keyword_only)
    kind = row.get("object")
    return Parameter(row["name"], False, Symbol("object", str(kind) if is_class_name(kind) else ""), keyword_only)


def is_class_name(text: Any) -> bool:
    """Whether a text can be the full name of a class."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        return False
    return all(part == "<locals>" or part.isidentifier() for part in text.split("."))


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and text.isidentifier() and len(text) <= LONGEST_TEXT


def _entries(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _decode(value: Any, depth: int = 0) -> Any:
    """A plain value; `_MISSING` for anything else."""
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) is str:
        return value if len(value) <= LONGEST_TEXT else _MISSING
    if isinstance(value, dict) and len(value) == 1:
        if value.get("float") in ("inf", "-inf", "nan"):
            return float(value["float"])
        content = value.get("tuple")
        items = _decode(content, depth) if isinstance(content, list) else _MISSING
        return _MISSING if items is _MISSING else tuple(items)
    if isinstance(value, list) and len(value) <= MOST_ITEMS and depth <= DEEPEST:
        items = [_decode(item, depth + 1) for item in value]
        return _MISSING if any(item is _MISSING for item in items) else items
    return _MISSING
