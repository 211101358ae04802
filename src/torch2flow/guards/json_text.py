"""JSON that others wrote, at a price that is paid before it is parsed; and JSON of ours, which is JSON.

Python makes up to thirty bytes of memory of one byte of JSON. So what a text may hold is counted first, in its bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from torch2flow.errors import FormatError

MOST_BYTES = 256 << 20
MOST_NODES = 1 << 24
"""Values in one text. A header of a million tensors has ten million."""

MOST_LEVELS = 64
"""How deep values may be nested, about. No JSON that we read has more than ten levels."""

Pairs = list[tuple[str, Any]]

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


def parse_json(raw: bytes, where: str, unique: Callable[[Pairs], Any] | None = None) -> Any:
    """The value of a JSON text. NaN and Infinity, which are no JSON, become texts.

    Args:
        raw: the text, as UTF-8.
        where: it is from, for errors.
        unique: makes a value of the names and values of an object; by default a dictionary of them.

    Raises:
        FormatError: it is no JSON, a name stands twice in an object, or it holds more than any real file.
    """
    if len(raw) > MOST_BYTES or sum(map(raw.count, (b",", b"[", b"{"))) > MOST_NODES:
        raise _costly(f"more than {MOST_BYTES >> 20} MiB or {MOST_NODES} values", where)
    if _is_deep(raw) and _is_deep(_STRING.sub(b"", raw)):
        raise _costly(f"values that are nested more than {MOST_LEVELS} deep", where)
    try:
        return json.loads(raw, object_pairs_hook=unique or unique_names, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The JSON is not valid: {error}.", where=where, maybe="the file is cut off") from None


def parse_object(raw: bytes, where: str) -> dict[str, Any]:
    """The dictionary of a JSON text that is an object.

    Raises:
        FormatError: it is something else, or as for `parse_json`.
    """
    value = parse_json(raw, where)
    if not isinstance(value, dict):
        raise FormatError("The JSON is no object.", where=where)
    return value


def unique_names(pairs: Pairs) -> dict[str, Any]:
    """The dictionary of an object's names and values.

    Raises:
        ValueError: a name stands twice.
    """
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name stands twice")
    return result


def _costly(what: str, where: str) -> FormatError:
    return FormatError(
        f"The JSON holds {what}, which no real file does.", where=where, maybe="it was made to exhaust its reader"
    )


def _is_deep(raw: bytes) -> bool:
    """Whether brackets are left when the innermost ones are taken away again and again."""
    brackets = raw.translate(None, _NO_BRACKET)
    for _ in range(MOST_LEVELS):
        before, brackets = len(brackets), brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == before:  # none, or some that are never closed: that is no JSON
            return False
    return bool(brackets)


def to_json_text(value: Any, *, indent: int | None = None, separators: tuple[str, str] | None = None) -> str:
    """A value of plain data as JSON, in which numbers that JSON does not know are the texts NaN and Infinity."""
    encode = _encoder(indent, separators)
    try:
        return encode(value)
    except ValueError:
        return encode(_finite(value))


def json_pieces(value: Any) -> Iterator[str]:
    """The same text with an indent of 2, in pieces: the rows that an iterator in a dictionary gives come one by one."""
    if not isinstance(value, dict) or not any(isinstance(item, Iterator) for item in value.values()):
        yield to_json_text(value, indent=2)
        return
    before = "{"
    for key, item in value.items():
        yield f"{before}\n  {to_json_text(key)}: "
        if isinstance(item, Iterator):
            opening = "["
            for row in item:
                yield f"{opening}\n    " + to_json_text(row, indent=2).replace("\n", "\n    ")
                opening = ","
            yield "[]" if opening == "[" else "\n  ]"
        else:
            yield to_json_text(item, indent=2).replace("\n", "\n  ")
        before = ","
    yield "\n}"


@cache
def _encoder(indent: int | None, separators: tuple[str, str] | None) -> Callable[[Any], str]:
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=indent, separators=separators).encode


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {_finite(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
