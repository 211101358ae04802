"""Writes a pickle stream (protocol 4) that names classes of libraries which need not be installed.

`pickle.Pickler` imports every class it names; here a class is a `Name` and an object a `PickledCall`, so a file
for OneFlow or PyTorch can be made with neither at hand. Shared objects are written once and referred to,
which is how tied tensors stay tied.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from torch2flow.checkpoints.pickles.values import Name, PickledCall, StatefulDict
from torch2flow.errors import UnsupportedError

MAX_DEPTH = 160
"""How deep a value may be nested: those who read the result recurse, and Python's limit is 1,000 frames."""

BATCH = 1000  # items between two marks, as in CPython's pickler: bounds the reader's stack


def write_pickle(
    value: Any,
    replace: Callable[[Any], Any] = lambda value: value,
    identify: Callable[[Any], Any] = lambda value: value,
    protocol: int = 4,
) -> bytes:
    """The stream that rebuilds `value`.

    Args:
        value: containers, numbers, text, bytes, `Name` and `PickledCall`.
        replace: maps every object of any other kind to one of those.
        identify: two objects for which it gives the same one are one object in the stream.
        protocol: 2 (the newest that `torch.load(weights_only=True)` reads) or 4.

    Raises:
        UnsupportedError: an object that `replace` left as it was, or nesting deeper than `MAX_DEPTH`.
    """
    writer = _PickleWriter(replace, identify, protocol)
    writer.save(value, 0)
    return b"\x80" + bytes((protocol,)) + bytes(writer.out) + b"."


class Payload:
    """Bytes that the caller puts into the stream itself: many gigabytes never pass through memory.

    Args:
        nbytes: how many.

    Attributes:
        position: where in the returned stream they belong, once it is written.
    """

    __slots__ = ("nbytes", "position")

    def __init__(self, nbytes: int) -> None:
        self.nbytes, self.position = nbytes, -1


class PersistentId:
    """A reference to something outside the stream: PyTorch's storages."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _PickleWriter:
    def __init__(self, replace: Callable[[Any], Any], identify: Callable[[Any], Any], protocol: int) -> None:
        self.replace, self.identify = replace, identify
        self.protocol = protocol
        self.out = bytearray()
        self.memo: dict[int, int] = {}
        self.names: dict[Name, int] = {}
        self.kept: list[Any] = []  # keeps ids in use: a freed object's id would be taken for a memo hit

    def save(self, value: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UnsupportedError(
                f"The data is nested more than {MAX_DEPTH} levels deep.",
                maybe="a container holds itself",
                remedy="select the part you need with --key",
            )
        plain = _PLAIN.get(type(value))
        if plain is not None:
            plain(self, value)
        elif id(value) in self.memo:
            self._get(self.memo[id(value)])
        elif (save := _CONTAINERS.get(type(value))) is not None:
            save(self, value, depth + 1)
        else:
            self._foreign(self.identify(value), depth)

    def _foreign(self, value: Any, depth: int) -> None:
        """Writes an object that only the caller knows. The memo finds it again by the result of `identify`."""
        if id(value) in self.memo:
            self._get(self.memo[id(value)])
            return
        replaced = self.replace(value)
        if replaced is value:
            raise UnsupportedError(f"A {type(value).__name__} can't be written into a checkpoint.")
        if isinstance(replaced, PickledCall):
            self._call(replaced, depth + 1, owner=value)
        else:
            self.save(replaced, depth)

    def _put(self, value: Any) -> None:
        self.memo[id(value)] = self._put_index()
        self.kept.append(value)

    def _put_index(self) -> int:
        index = len(self.memo) + len(self.names)
        if self.protocol >= 4:
            self.out += b"\x94"
        else:
            self.out += b"q" + bytes((index,)) if index < 256 else b"r" + struct.pack("<I", index)
        return index

    def _get(self, index: int) -> None:
        self.out += b"h" + bytes((index,)) if index < 256 else b"j" + struct.pack("<I", index)

    # -- plain values ----------------------------------------------------------------------------------------

    def _none(self, value: None) -> None:
        self.out += b"N"

    def _bool(self, value: bool) -> None:
        self.out += b"\x88" if value else b"\x89"

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K" + bytes((value,))
        elif -(1 << 31) <= value < 1 << 31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.out += (
                b"\x8a" + bytes((len(raw),)) + raw if len(raw) < 256 else b"\x8b" + struct.pack("<i", len(raw)) + raw
            )

    def _float(self, value: float) -> None:
        self.out += b"G" + struct.pack(">d", value)

    def _str(self, value: str) -> None:
        raw = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(raw)) + raw

    def _bytes(self, value: bytes) -> None:
        if self.protocol < 3:
            self.save(PickledCall(Name("_codecs.encode"), (value.decode("latin1"), "latin1")), 0)
        elif len(value) < 1 << 32:
            self.out += b"B" + struct.pack("<I", len(value)) + value
        else:
            self.out += b"\x8e" + struct.pack("<Q", len(value)) + value

    def _name(self, value: Name) -> None:
        index = self.names.get(value)
        if index is not None:
            self._get(index)
            return
        module, member, name = value.name.partition(":")
        if member:
            self._str(module)
            self._str(name)
            self.out += b"\x93"
        else:
            module, _, name = value.name.rpartition(".")
            self.out += f"c{module}\n{name}\n".encode()
        self.names[value] = self._put_index()

    def _payload(self, value: Payload) -> None:
        self.out += b"\x8e" + struct.pack("<Q", value.nbytes)
        value.position = len(self.out) + 2  # the stream begins with PROTO and its operand

    # -- containers ------------------------------------------------------------------------------------------

    def _tuple(self, value: tuple[Any, ...], depth: int) -> None:
        if not value:
            self.out += b")"
            return
        if len(value) > 3:
            self.out += b"("
        for item in value:
            self.save(item, depth)
        self.out += {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(value), b"t")
        self._put(value)

    def _list(self, value: list[Any], depth: int) -> None:
        self.out += b"]"
        self._put(value)
        self._appends(value, depth)

    def _appends(self, items: Any, depth: int) -> None:
        items = list(items)
        for start in range(0, len(items), BATCH):
            self.out += b"("
            for item in items[start : start + BATCH]:
                self.save(item, depth)
            self.out += b"e"

    def _dict(self, value: dict[Any, Any], depth: int) -> None:
        self.out += b"}"
        self._put(value)
        self._setitems(value, depth)

    def _setitems(self, value: dict[Any, Any], depth: int) -> None:
        pairs = list(value.items())
        for start in range(0, len(pairs), BATCH):
            self.out += b"("
            for key, item in pairs[start : start + BATCH]:
                self.save(key, depth)
                self.save(item, depth)
            self.out += b"u"

    def _ordered_dict(self, value: StatefulDict, depth: int) -> None:
        self._name(Name("collections.OrderedDict"))
        self.out += b")R"
        self._put(value)
        self._setitems(value, depth)
        if value.attributes:
            self.save(value.attributes, depth)
            self.out += b"b"

    def _default_dict(self, value: defaultdict[Any, Any], depth: int) -> None:
        factory = value.default_factory
        self._name(Name("collections.defaultdict"))
        self.save((Name(f"builtins.{factory.__name__}"),) if isinstance(factory, type) else (), depth)
        self.out += b"R"
        self._put(value)
        self._setitems(value, depth)

    def _built(self, value: Any, depth: int, *args: Any) -> None:
        """A value of a class that Python itself defines, from its constructor's arguments."""
        kind = type(value)
        self._call(PickledCall(Name(f"{kind.__module__}.{kind.__name__}"), args), depth)
        self._put(value)

    def _persistent_id(self, value: PersistentId, depth: int) -> None:
        self.save(value.value, depth)
        self.out += b"Q"

    def _call(self, value: PickledCall, depth: int, owner: Any = None) -> None:
        self.save(value.function, depth)
        self.save(value.args, depth)
        self.out += b"\x81" if value.new else b"R"
        self._put(value if owner is None else owner)
        if type(value.state) is dict:  # made for this call alone: nothing will refer back to it
            self.out += b"}"
            self._setitems(value.state, depth)
            self.out += b"b"
        elif value.state is not None:
            self.save(value.state, depth)
            self.out += b"b"


_PLAIN: dict[type, Callable[[_PickleWriter, Any], None]] = {
    type(None): _PickleWriter._none,
    bool: _PickleWriter._bool,
    int: _PickleWriter._int,
    float: _PickleWriter._float,
    str: _PickleWriter._str,
    bytes: _PickleWriter._bytes,
    Name: _PickleWriter._name,
    Payload: _PickleWriter._payload,
}
_CONTAINERS: dict[type, Callable[[_PickleWriter, Any, int], None]] = {
    tuple: _PickleWriter._tuple,
    list: _PickleWriter._list,
    dict: _PickleWriter._dict,
    StatefulDict: _PickleWriter._ordered_dict,
    defaultdict: _PickleWriter._default_dict,
    PickledCall: _PickleWriter._call,
    PersistentId: _PickleWriter._persistent_id,
    Counter: lambda w, v, d: w._built(v, d, dict(v)),
    deque: lambda w, v, d: w._built(v, d, list(v), v.maxlen),
    set: lambda w, v, d: w._built(v, d, list(v)),
    frozenset: lambda w, v, d: w._built(v, d, list(v)),
    bytearray: lambda w, v, d: w._built(v, d, bytes(v)),
    complex: lambda w, v, d: w._built(v, d, v.real, v.imag),
}
