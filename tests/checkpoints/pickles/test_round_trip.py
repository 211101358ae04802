"""What Python pickles, the machine reads as equal data; what the writer writes, Python unpickles as equal data."""

from __future__ import annotations

import math
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torch2flow.checkpoints.pickles import StatefulDict, read_pickle, write_pickle
from torch2flow.errors import UnsupportedError

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Lone surrogates are text to Python, and to every pickle protocol.
text = st.text(st.characters(), max_size=20)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False)
leaves = st.none() | st.booleans() | numbers | text | st.binary(max_size=20)
keys = st.recursive(
    st.none() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | text | st.binary(max_size=9),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Every container that a pickle spells by an opcode or a constructor of Python's own."""
    lists = st.lists(inner, max_size=4)
    dicts = st.dictionaries(keys, inner, max_size=4)
    return (
        lists
        | dicts
        | lists.map(tuple)
        | lists.map(deque)
        | st.tuples(lists, st.integers(0, 3)).map(lambda pair: deque(*pair))
        | dicts.map(OrderedDict)
        | dicts.map(lambda content: defaultdict(list, content))
        | st.dictionaries(keys, st.integers(0, 9), max_size=4).map(Counter)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.binary(max_size=20).map(bytearray)
    )


data = st.recursive(leaves, containers, max_leaves=12)


def same_kinds(one: Any, other: Any) -> bool:
    """Equality that tells True from 1, a tuple from a list, and -0.0 from 0.0."""
    kind = OrderedDict if isinstance(one, StatefulDict) else type(one)
    if kind is not (OrderedDict if isinstance(other, StatefulDict) else type(other)):
        return False
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return len(one) == len(other) and all(same_kinds(a, b) for pair in pairs for a, b in zip(*pair, strict=True))
    if isinstance(one, list | tuple | deque):
        limits = getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        return limits and len(one) == len(other) and all(map(same_kinds, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


def write(value: Any, protocol: int = 4) -> bytes:
    """A checkpoint's ordered dictionaries carry attributes; Python's plain ones become those."""
    return write_pickle(
        value, replace=lambda item: StatefulDict(item) if type(item) is OrderedDict else item, protocol=protocol
    )


@SETTINGS
@given(data, st.sampled_from(range(6)))
def test_reads_what_python_pickles(value: Any, protocol: int) -> None:
    """Every protocol, every kind of data."""
    assert same_kinds(read_pickle(pickle.dumps(value, protocol)), value)


@SETTINGS
@given(data, st.sampled_from((2, 4)))
def test_python_reads_what_is_written(value: Any, protocol: int) -> None:
    """Both protocols that the writer knows."""
    assert same_kinds(pickle.loads(write(value, protocol)), value)


@SETTINGS
@given(data, st.sampled_from((2, 4)))
def test_reads_what_is_written(value: Any, protocol: int) -> None:
    """There and back without Python's own pickle."""
    assert same_kinds(read_pickle(write(value, protocol)), value)


@pytest.mark.parametrize("protocol", range(6))
def test_shared_objects_stay_shared(protocol: int) -> None:
    """One object twice is one object again: tied weights are found by this."""
    shared = [1]
    first, second, third = read_pickle(pickle.dumps([shared, shared, [1]], protocol))
    assert first is second
    assert first is not third


@pytest.mark.parametrize("protocol", (2, 4))
def test_written_objects_stay_shared(protocol: int) -> None:
    """The same on the way out."""
    shared = [1]
    first, second, third = pickle.loads(write_pickle([shared, shared, [1]], protocol=protocol))
    assert first is second
    assert first is not third


def test_circles_stay_circles() -> None:
    """A list that holds itself is data like any other; whoever walks it has to look (`pytorch/tree.py`)."""
    circle: list[Any] = []
    circle.append(circle)
    for found in (read_pickle(pickle.dumps(circle)), pickle.loads(write_pickle(circle))):
        assert found[0] is found


@pytest.mark.parametrize("kind", (list, dict, deque, OrderedDict))
def test_deep_data_is_refused_before_the_stack_is_used_up(kind: type) -> None:
    """Whatever wraps each level, the limit of the writer comes before Python's."""
    value: Any = 1
    for _ in range(1000):
        value = kind([value]) if kind in (list, deque) else kind(a=value)
    with pytest.raises(UnsupportedError, match="nested more than"):
        write(value)


def test_nan_keeps_its_bits() -> None:
    """A NaN with a payload."""
    import struct

    (nan,) = struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf8\x7f")
    assert struct.pack("<d", read_pickle(pickle.dumps(nan, 4))) == struct.pack("<d", nan)
