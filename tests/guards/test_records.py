"""Values are what their types say, or the error names the field."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch2flow.errors import FormatError
from torch2flow.guards.records import Count, Demand, checked


class Needed(TypedDict):
    """What can't be missing."""

    name: str
    shape: list[Count]


class Example(Needed, total=False):
    """All kinds of fields."""

    kind: Literal["a", "b"]
    pair: tuple[int, float]
    either: int | list[str] | None
    table: dict[str, Needed]
    even: Annotated[int, Demand(lambda n: n % 2 == 0, "an even number")]
    anything: Any


SOUND = {"name": "x", "shape": [0, 3]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 3}, "name should be a text, and is 3"),
        ({"shape": None}, "shape should be a list, and is null"),
        ({"shape": [1, "2"]}, "shape[1] should be a whole number, and is '2'"),
        ({"shape": [1, -1]}, "shape[1] should be a whole number from 0 on, and is -1"),
        ({"shape": [True]}, "shape[0] should be a whole number, and is true"),
        ({"kind": "c"}, "kind should be 'a' or 'b', and is 'c'"),
        ({"kind": ["a"]}, "kind should be 'a' or 'b', and is a list of 1"),
        ({"pair": [1]}, "pair should be a list of 2, and is a list of 1"),
        ({"pair": [1, None]}, "pair[1] should be a number, and is null"),
        ({"either": "x"}, "either should be a whole number or a list or null, and is 'x'"),
        ({"either": ["x", 1]}, "either[1] should be a text, and is 1"),
        (
            {"table": {"a b": {"name": "y"}}},
            "table['a b'] should be an object with a field 'shape', and is an object of 1",
        ),
        ({"even": 3}, "even should be an even number, and is 3"),
    ],
)
def test_the_error_names_the_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(FormatError) as caught:
        checked(Example, {**SOUND, **change}, "file.json")
    assert caught.value.what == f"{said}." and caught.value.where == "file.json"


def test_what_is_sound_is_given_back() -> None:
    value = {**SOUND, "kind": "a", "pair": [1, 2], "either": None, "table": {"t": SOUND}, "even": 2, "more": object()}
    assert checked(Example, value, "file.json") is value
    with pytest.raises(FormatError, match="the whole should be an object, and is a list of 0"):
        checked(Example, [], "file.json")
    with pytest.raises(FormatError, match="an object with a field 'name'"):
        checked(Example, {}, "file.json")


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(st.dictionaries(st.sampled_from([*Example.__annotations__, "name", "shape", "more"]), VALUES))
def test_any_value_is_sound_or_one_error(value: dict[str, Any]) -> None:
    try:
        assert checked(Example, value, "file.json") is value
    except FormatError as error:
        assert len(error.what) < 1000
