"""JSON is read at a price that is paid in advance, and what is written is JSON."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch2flow.errors import FormatError
from torch2flow.guards.json_text import MOST_NODES, parse_json, to_json_text

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_written_is_json(value: object) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    again = json.loads(to_json_text(value), parse_constant=refuse)
    assert parse_json(to_json_text(value).encode("utf-8", "surrogatepass"), "here") == again


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_numbers_that_json_has_not_are_texts(text: str) -> None:
    assert "nf" in str(parse_json(text.encode(), "here")) or parse_json(text.encode(), "here") == "NaN"


@pytest.mark.parametrize(
    "raw",
    [
        b"{}" + b" " * (257 << 20),
        b"[" + b"{}," * MOST_NODES,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 200 + b"]" * 200,
    ],
    ids=["bytes", "values", "open lists", "open objects", "levels"],
)
def test_what_no_real_file_holds_is_refused_at_once(raw: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(FormatError, match="no real file|not valid"):
        parse_json(raw, "here")
    assert time.monotonic() - started < 2


def test_brackets_in_names_have_no_depth() -> None:
    value = {"[" * 500: ["{" * 500, '\\"[[' * 300]}
    assert parse_json(json.dumps(value).encode(), "here") == value


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b'{"a"}', b"9" * 5000, b"[1,]"])
def test_what_is_no_json_is_one_sentence(raw: bytes) -> None:
    with pytest.raises(FormatError, match="The JSON is not valid"):
        parse_json(raw, "here")
