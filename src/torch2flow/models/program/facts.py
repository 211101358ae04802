"""Reads what `torch2flow capture` adds to a `.pt2`: values of modules, signatures of classes, borders of calls.

`proof/capture/facts.py` and `borders.py` write it. Everything is data: a name that is no identifier, a value that is
not plain or is too large, and a key that is not known are passed over, so a newer or a damaged file costs only what it
describes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch2flow.checkpoints.dtypes import find_dtype
from torch2flow.checkpoints.pytorch.tensor import Storage, TensorRef
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_object
from torch2flow.models.program.graph import Border, Dtype, Signature, Structure
from torch2flow.models.program.identifiers import is_identifier
from torch2flow.models.program.symbols import parse

LARGEST = 64 << 20
"""A longer text is passed over."""

OTHER_CONSTANT = "other_mode."
"""Begins the names of constants that only the program of the other mode has."""

LONGEST_TEXT, MOST_ITEMS, DEEPEST, MOST_NAMES = 200, 64, 4, 200
DEEPEST_STRUCTURE, MOST_PARTS = 8, 4000
_MISSING: Any = object()


def read_facts(text: bytes, where: str) -> dict[str, Any]:
    """The content of the file; empty where there is none.

    Raises:
        FormatError: it is no JSON object.
    """
    return parse_object(text, where) if 0 < len(text) <= LARGEST else {}


def read_attributes(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The plain values that each module holds, by the module's path."""
    found: dict[str, dict[str, Any]] = {}
    for path, held in _entries(facts.get("attributes")):
        if len(path) > LONGEST_TEXT * 5:
            continue
        values = {name: _decode(value) for name, value in _entries(held)[:MOST_NAMES] if is_identifier(name)}
        found[path] = {name: value for name, value in values.items() if value is not _MISSING}
    return {path: values for path, values in found.items() if values}


def read_calls(rows: Any) -> dict[str, list[tuple[str, float]]]:
    """For each module's path, calls of PyTorch's functions, each with a number from 0 to 1."""
    found: dict[str, list[tuple[str, float]]] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, list) and list(map(type, row)) in ([str, str, float], [str, str, bool]) and 0 <= row[2] <= 1:
            found.setdefault(row[0], []).append((row[1], row[2]))
    return found


def read_other_mode(
    facts: Mapping[str, Any],
) -> tuple[list[tuple[str, str, list[str], list[str]]] | None, list[tuple[str, str]]]:
    """Where the other mode differs, None where the file does not say; and the author's own backward functions."""

    def shown(text: Any) -> str:
        """A name that is shown to people."""
        return str(text)[:LONGEST_TEXT] if isinstance(text, str) and text.isprintable() else ""

    def rows(key: str, length: int) -> list[list[Any]]:
        found = facts.get(key)
        found = found if isinstance(found, list) else []
        return [row for row in found[:MOST_PARTS] if isinstance(row, list) and len(row) == length]

    def names(value: Any) -> list[str]:
        return [name for name in map(shown, value[:MOST_ITEMS]) if name] if isinstance(value, list) else []

    differing = [(shown(a), shown(b), names(c), names(d)) for a, b, c, d in rows("other_mode", 4)]
    backwards = [(shown(path), shown(name)) for path, name in rows("backwards", 2)]
    return (differing if "other_mode" in facts else None), backwards


def read_constants(facts: Mapping[str, Any]) -> dict[str, TensorRef]:
    """The tensors that only the program of the other mode has, each under a name that no tensor of the file has."""
    found: dict[str, TensorRef] = {}
    for name, row in _entries(facts.get("constants")):
        try:
            kind, shape = find_dtype(row["dtype"]), [int(size) for size in row["shape"]]
            data = base64.b64decode(row["data"], validate=True)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        if kind is None or any(size < 0 for size in shape):
            continue
        if kind.itemsize * math.prod(shape) == len(data):
            strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
            key = f"{OTHER_CONSTANT}{name}"
            found[key] = TensorRef(kind, tuple(shape), strides, 0, Storage(key, len(data), data=data))
    return found


def read_static(facts: Mapping[str, Any], name: Callable[[str], str | None]) -> list[tuple[str, int]]:
    """Axes of inputs that the author named and PyTorch made static: the value's name in the program, and the axis."""
    rows = facts.get("static")
    found = []
    for row in rows[:MOST_PARTS] if isinstance(rows, list) else []:
        if isinstance(row, list) and list(map(type, row)) == [str, int] and (value := name(row[0])) is not None:
            found.append((value, row[1]))
    return found


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
        if all(map(is_identifier, [*names, *forward])) and len(names) + len(forward) <= MOST_NAMES:
            found[name] = Signature(tuple(map(str, names)), tuple(forward))
    return found


def read_borders(facts: Mapping[str, Any], name: Callable[[str], str | None]) -> dict[tuple[str, int], Border]:
    """What crosses the borders of module calls, by the module's path and the number of the call.

    Args:
        facts: the content of the file.
        name: gives a value's name in the program as it was read; None where there is no such value.
    """
    rows = facts.get("borders")
    found: dict[tuple[str, int], Border] = {}
    for row in rows if isinstance(rows, list) else []:
        path, number = (row.get("path"), row.get("call")) if isinstance(row, dict) else (None, None)
        if isinstance(path, str) and len(path) <= LONGEST_TEXT * 5 and type(number) is int and number >= 0:
            try:
                found.setdefault((path, number), _border(row).renamed(name))
            except (KeyError, TypeError, ValueError, FormatError):
                continue
    return found


def _border(row: dict[str, Any]) -> Border:
    arguments = tuple((_name(name), _Structures().read(content)) for name, content in row["arguments"])
    given = [name for name, _ in arguments]
    if len(set(given)) != len(given):
        raise ValueError("a name stands twice")
    keywords = tuple(name for name in row.get("keywords") or () if name in given)
    starred = row.get("starred", "")
    return Border(arguments, _Structures().read(row["result"]), keywords, starred if starred in given else "")


class _Structures:
    """Reads one structure; counts its parts."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, row: dict[str, Any], depth: int = 0) -> Structure:
        """A structure; the names of its values are not looked up yet.

        Raises:
            ValueError, KeyError, TypeError: it is none, or too large.
        """
        self.count += 1
        if depth > DEEPEST_STRUCTURE or self.count > MOST_PARTS:
            raise ValueError("too large")
        kind, value = row["kind"], row.get("value")
        match kind:
            case "none":
                return Structure("none")
            case "unknown":
                return Structure("unknown", row["class"] if is_class_name(row.get("class")) else "")
            case "value":
                return Structure("value", _text(value))
            case "constant":
                plain = _decode(value)
                return Structure("unknown", "") if plain is _MISSING else Structure("constant", plain)
            case "dtype":
                return Structure("constant", Dtype(_name(value)))
            case "size":
                hint = row.get("hint")
                return Structure("constant", parse(_text(value), hint if type(hint) is int else 0))
        children = tuple(self.read(item, depth + 1) for item in row["items"])
        identity = row.get("identity")
        identity = identity if type(identity) is int else 0
        if kind in ("tuple", "list"):
            return Structure(kind, None, (), children, identity)
        names = tuple(map(_text if kind == "dict" else _name, row["names"]))
        if len(set(names)) != len(children) or len(names) != len(children) or not is_class_name(kind):
            raise ValueError("names and parts differ")
        return Structure(kind, None, names, children, identity)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError("no text")
    return value


def _name(value: Any) -> str:
    if not is_identifier(value):
        raise ValueError("no name")
    return str(value)


def is_class_name(text: Any) -> bool:
    """Whether a text can be the full name of a class."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        return False
    return all(part == "<locals>" or part.isidentifier() for part in text.split("."))


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
