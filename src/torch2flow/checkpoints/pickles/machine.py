"""The state of the pickle machine, and what its operations do to it; `reading.py` runs the operations of a stream.

A global is a name, a call is a look-up in a table of constructors, and anything else is an `Opaque` record.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from torch2flow.checkpoints.pickles.limits import (
    ITEM,
    MAX_ARGUMENTS,
    MAX_KEY_NODES,
    MAX_NAME,
    MAX_ODD_KEYS,
    MAX_SAME_HASH,
    Broken,
)
from torch2flow.checkpoints.pickles.values import Global, Opaque

PersistentLoad = Callable[[Any], Any]

Constructor = Callable[..., Any]
"""Called with the machine and the arguments in the stream; returns what the call stands for."""

_PLAIN_KEYS = frozenset((str, bytes, bool, type(None), Global, Opaque))


class Machine:
    """The state of one run over a pickle stream.

    Args:
        data: the stream, possibly followed by other data.
        constructors: what a called name builds; names not in it become `Opaque`.
        persistent_load: what a persistent id stands for; without it they are refused.
        where: the file and record, for error messages.
        start: byte offset at which the stream starts.

    Attributes:
        end: byte offset behind the stream, once it was read.
        opaque: how often each unknown class or function was met.
        starved: how many bytes would have been needed to go on, where that is why reading failed; else 0.
    """

    def __init__(
        self,
        data: bytes | mmap.mmap,
        *,
        constructors: Mapping[str, Constructor],
        persistent_load: PersistentLoad | None = None,
        where: str = "pickle",
        start: int = 0,
    ) -> None:
        self.data = data
        self.pos = self.end = start
        self.constructors = constructors
        self.persistent_load = persistent_load
        self.where = where
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo = _Memo(len(data))
        self.objects = 0
        self.numbers: dict[bytes, tuple[int, ...]] = {}
        self.odd_keys = 0
        self.by_hash: dict[int, list[Any]] = {}
        self.globals: dict[str, Global] = {}
        self.opaque: dict[str, int] = {}
        self.starved = 0
        # A constructor can copy a long memoised string with every three-byte call; what all calls
        # together may copy is bounded by a multiple of the stream.
        self.copy_budget = 16 * len(data) + (1 << 20)

    # -- reading operands ------------------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.pos
        chunk = self.data[start : start + count]
        if count < 0 or len(chunk) != count:
            self.starved = start + count
            raise Broken(f"announces {count} bytes, but only {len(self.data) - start} are left")
        self.pos = start + count
        return chunk

    def take_view(self, count: int) -> bytes | memoryview:
        """The next `count` bytes, not copied out of a file that is mapped."""
        if isinstance(self.data, bytes) or self.pos + count > len(self.data):
            return self.take(count)
        self.pos += count
        return memoryview(self.data)[self.pos - count : self.pos]

    def take_line(self) -> bytes:
        """The next line of a text opcode, without its newline."""
        stop = self.data.find(b"\n", self.pos)
        if stop < 0:
            self.starved = len(self.data) + 1
            raise Broken("has a text operand without an end")
        line = self.data[self.pos : stop]
        self.pos = stop + 1
        return line

    def pop_mark(self) -> list[Any]:
        """Takes off the stack what was pushed since the last MARK."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def spend(self, count: int) -> None:
        """Charges the copy of `count` bytes to the stream's budget."""
        self.copy_budget -= count
        if self.copy_budget < 0:
            raise Broken("is one of many calls that together copy far more than the stream holds")

    def check_key(self, key: Any) -> Any:
        """Refuses dictionary keys and set members whose hash would fail, recurse deep, or collide at will."""
        kind = type(key)
        if kind in _PLAIN_KEYS:
            return key
        if kind is int:
            if key.bit_length() > 64:  # multiples of 2**61 - 1 hash alike
                raise Broken("uses an integer of more than 64 bits as a key")
            return key
        self.odd_keys += 1
        if self.odd_keys > MAX_ODD_KEYS:
            raise Broken(f"uses more than {MAX_ODD_KEYS} numbers, tuples or sets as keys")
        nodes, pending = 0, [key]
        while pending:
            node = pending.pop()
            nodes += 1
            if nodes > MAX_KEY_NODES:
                raise Broken(f"uses a key of more than {MAX_KEY_NODES} nested parts")
            if isinstance(node, tuple | frozenset):
                pending.extend(node)
            elif isinstance(node, list | dict | set | deque | bytearray):
                raise Broken(f"uses a {type(node).__name__} as a key")
        alike = self.by_hash.setdefault(hash(key), [])
        if key not in alike:
            if len(alike) == MAX_SAME_HASH:
                raise Broken(f"uses more than {MAX_SAME_HASH} keys of one hash")
            alike.append(key)
        return key

    # -- objects ---------------------------------------------------------------------------------------------

    def find_global(self, module: str, name: str) -> Global:
        """The `Global` of a dotted name, the same object for the same name."""
        if len(module) + len(name) > MAX_NAME:
            raise Broken("has a name longer than any class's")
        full = f"{module}.{name}"
        found = self.globals.get(full)
        if found is None:
            found = self.globals[full] = Global(full)
        return found

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Calls the constructor that the table has for this name; an unknown name gives an opaque record."""
        self.objects += 4
        if isinstance(function, Global):
            constructor = self.constructors.get(function.name)
            if constructor is not None:
                if len(args) > MAX_ARGUMENTS:
                    raise Broken(f"calls {function.name} with {len(args)} arguments")
                return constructor(self, *args)
            return self.unknown(function.name, args)
        if isinstance(function, Opaque):  # a pickled bound method, for example
            self.spend(ITEM * len(args))
            return Opaque("(call of an opaque object)", (function, *args))
        raise Broken("calls something that is not a named function")

    def unknown(self, name: str, args: tuple[Any, ...]) -> Opaque:
        """The record of a call of an unknown name. Such calls are counted and reported."""
        self.opaque[name] = self.opaque.get(name, 0) + 1
        return Opaque(name, args)


class _Memo:
    """The objects that the stream refers back to. Picklers count 0, 1, 2, ..., so a list holds most of them.

    Args:
        limit: indices from here on are refused. A pickler counts: it never gets beyond the stream's length.
    """

    __slots__ = ("append", "items", "limit", "others")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.items: list[Any] = []
        self.append = self.items.append
        self.others: dict[int, Any] = {}

    def put(self, index: int, value: Any) -> None:
        if index == len(self.items):
            self.append(value)
        elif 0 <= index < len(self.items):
            self.items[index] = value
        elif 0 <= index < self.limit:
            self.others[index] = value
        else:
            raise Broken("has a memo index that no pickler counts to")

    def get(self, index: int) -> Any:
        return self.items[index] if 0 <= index < len(self.items) else self.others[index]
