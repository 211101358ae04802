"""The pickle machine: what it makes of each kind of opcode, and what it refuses, with where and why."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
from typing import Any

import pytest

from torch2flow.checkpoints.pickles import (
    Global,
    Machine,
    Opaque,
    StatefulDict,
    label,
    read_pickle,
    reading,
    run_stream,
)
from torch2flow.checkpoints.pickles.python_constructors import CONSTRUCTORS
from torch2flow.errors import FormatError


class Thing:
    """A class that no reader knows."""

    def __init__(self) -> None:
        self.size = 3


class Sequence(list):  # type: ignore[type-arg]
    """A list of a class of its own."""


class Mapping(dict):  # type: ignore[type-arg]
    """A dictionary of a class of its own."""


@pytest.mark.parametrize("protocol", range(6))
def test_an_unknown_object_is_its_name_and_its_state(protocol: int) -> None:
    """Nothing is imported; `copyreg._reconstructor` of the oldest protocols is a record too."""
    found = read_pickle(pickle.dumps(Thing(), protocol))
    assert isinstance(found, Opaque)
    assert found.attribute("size") == 3
    assert found.class_name.endswith("Thing" if protocol >= 2 else "_reconstructor")


def test_an_unknown_list_keeps_its_items() -> None:
    """APPENDS to an object."""
    assert read_pickle(pickle.dumps(Sequence("ab"))).items == ["a", "b"]


def test_an_unknown_dictionary_keeps_its_entries() -> None:
    """SETITEMS of an object."""
    assert read_pickle(pickle.dumps(Mapping(a=1))).entries == {"a": 1}


def test_a_class_is_a_name() -> None:
    """One record a name, never the class."""
    found = read_pickle(pickle.dumps([os.system, os.system, subprocess.Popen]))
    assert found == [Global("posix.system"), Global("posix.system"), Global("subprocess.Popen")]
    assert found[0] is found[1]


def test_nothing_is_called() -> None:
    """REDUCE of an unknown function is a record of the call."""

    class Runs:
        def __reduce__(self) -> Any:
            return os.system, ("exit 1",)

    machine = Machine(pickle.dumps(Runs()), constructors=CONSTRUCTORS)
    assert run_stream(machine).args == ("exit 1",)
    assert machine.opaque == {"posix.system": 1}


def test_an_ordered_dict_keeps_its_attributes() -> None:
    """PyTorch sets `_metadata` on state dicts."""
    from collections import OrderedDict

    state_dict = OrderedDict(w=1)
    state_dict._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    found = read_pickle(pickle.dumps(state_dict))
    assert isinstance(found, StatefulDict)
    assert found.attributes == {"_metadata": {"": {"version": 1}}}


def test_a_stream_ends_where_it_says() -> None:
    """`end` is the byte behind STOP; what follows is somebody else's."""
    stream = pickle.dumps([1, 2])
    machine = Machine(b"xx" + stream + b"rest", constructors=CONSTRUCTORS, start=2)
    assert run_stream(machine) == [1, 2]
    assert machine.end == 2 + len(stream)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_stream_that_is_cut_off_says_how_much_it_needs(cut: int) -> None:
    """The legacy format states the length of its pickles nowhere: the reader asks for more."""
    stream = pickle.dumps({"weight": [1.5, "text", b"bytes", 2**70]}, 4)
    machine = Machine(stream[:-cut], constructors=CONSTRUCTORS)
    with pytest.raises(FormatError):
        run_stream(machine)
    assert len(stream) - cut < machine.starved <= len(stream) + 8


def test_a_refusal_names_the_place_and_the_opcode() -> None:
    """File, byte, opcode, and what it may mean."""
    with pytest.raises(FormatError) as caught:
        read_pickle(b"\x80\x02]q\x00K\x01t.", where="model.pth, record data.pkl")
    text = str(caught.value)
    assert "opcode b't' takes more from the stack than was put on it" in text
    assert "model.pth, record data.pkl, byte 7" in text
    assert "this may mean" in text


def test_copies_are_bounded_by_the_stream() -> None:
    """Eight kilobytes, memoised and copied by each call of four bytes."""
    text = b"X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"q\x00"
    call = b"c_codecs\nencode\nh\x00\x85R"
    assert len(read_pickle(b"\x80\x02" + text + call + b".")) == 1 << 20
    with pytest.raises(FormatError, match="copy far more than the stream holds"):
        read_pickle(b"\x80\x02" + text + call * 100 + b".")


@pytest.mark.parametrize("opcode", (b"]", b"}", b"(", b"\x8f", b")\x85"))
def test_objects_are_counted(opcode: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte each in the stream, seventy in memory."""
    monkeypatch.setattr(reading, "MAX_OBJECTS", 1000)
    stream = b"\x80\x04" + opcode * 2000 + b"N."
    with pytest.raises(FormatError, match="more objects than"):
        read_pickle(stream)


def test_memo_indices_of_any_order_are_found() -> None:
    """cPickle of Python 2 counts from 1; optimised streams leave gaps."""
    assert read_pickle(b"\x80\x02]q\x01K\x05q\x07ah\x01\x85q\x02h\x07\x86.") == (([5],), 5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Global("torch.float32"), "torch.float32"),
        (Opaque("a.B"), "a.B"),
        ("x" * 1000, "x" * 200),
        (7, "7"),
        (None, "None"),
        ([1], "a list"),
    ],
)
def test_labels_are_short(value: Any, text: str) -> None:
    """Never the text of a container."""
    assert label(value) == text
