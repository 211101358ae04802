"""The pickle machine: runs a stream on inert data.

Python's own Unpickler is not used: with `find_class` overridden it still crashes on deep keys and lets a
stream modify what `find_class` returned (docs/formats.md, "Why our own pickle machine"). Here a global is a
name, a call is a look-up in a table of constructors of ours, and anything else is an `Opaque` record.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

from torch2flow.checkpoints.pickles.limits import ITEM, MAX_ARGUMENTS, MAX_NAME, MAX_OBJECTS, Broken
from torch2flow.checkpoints.pickles.opcodes import TABLE
from torch2flow.checkpoints.pickles.phrases import take_tensor
from torch2flow.checkpoints.pickles.standard import CONSTRUCTORS, Constructor
from torch2flow.checkpoints.pickles.values import Global, Opaque
from torch2flow.errors import FormatError

PersistentLoad = Callable[[Any], Any]

BLOCK = 1 << 16  # opcodes between two looks at `Machine.objects`

LONG_BINPUT, BINGET, MARK = ord("r"), ord("h"), ord("(")


class Machine:
    """Runs one pickle stream.

    Args:
        data: the stream, possibly followed by other data.
        constructors: what a called name builds; names not in it become `Opaque`.
        persistent_load: what a persistent id stands for; without it they are refused.
        where: the file and record, for error messages.
        start: byte offset at which the stream starts.

    Attributes:
        end: byte offset behind the stream, once `load` has returned.
        opaque: how often each unknown class or function was met.
        starved: how many bytes would have been needed to go on, where that is why `load` failed; else 0.
    """

    def __init__(
        self,
        data: bytes | mmap.mmap,
        *,
        constructors: Mapping[str, Constructor] | None = None,
        persistent_load: PersistentLoad | None = None,
        where: str = "pickle",
        start: int = 0,
    ) -> None:
        self.data = data
        self.pos = self.end = start
        self.constructors = CONSTRUCTORS if constructors is None else constructors
        self.persistent_load = persistent_load
        self.where = where
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo = _Memo(len(data))
        self.objects = 0
        self.numbers: dict[bytes, tuple[int, ...]] = {}
        self.odd_keys = 0
        self.globals: dict[str, Global] = {}
        self.opaque: dict[str, int] = {}
        self.starved = 0
        # A constructor can copy a long memoised string with every three-byte call; what all calls
        # together may copy is bounded by a multiple of the stream.
        self.copy_budget = 16 * len(data) + (1 << 20)

    def load(self) -> Any:
        """The object the stream describes.

        Raises:
            FormatError: the stream is cut off, inconsistent, or asks for what no checkpoint needs.
        """
        table, data, size = TABLE, self.data, len(self.data)
        memo, memo_index = self.memo.items, struct.Struct("<I").unpack_from
        at = self.pos
        try:
            while True:
                for _ in repeat(None, BLOCK):
                    at = self.pos
                    if at >= size:
                        self.starved = size + 1
                        raise Broken("the stream ends before its STOP")
                    code = data[at]
                    # Two opcodes are half of every checkpoint's stream: they are done here, without a call.
                    if code == LONG_BINPUT and at + 4 < size:
                        index = memo_index(data, at + 1)[0]
                        if index == len(memo):
                            memo.append(self.stack[-1])
                        else:
                            self.memo.put(index, self.stack[-1])
                        self.pos = at + 5
                        continue
                    if code == BINGET and at + 1 < size and data[at + 1] < len(memo):
                        self.stack.append(memo[data[at + 1]])
                        self.pos = at + 2
                        continue
                    if code == MARK and take_tensor(self, at):
                        continue
                    self.pos = at + 1
                    operation = table[code]
                    if operation is None:
                        break
                    operation(self)
                else:
                    self._check_objects()
                    continue
                break
            self._check_objects()
            value = self.stack.pop()
        except FormatError:
            raise
        except Broken as error:
            raise self._error(str(error), at) from None
        except IndexError:
            raise self._error("takes more from the stack than was put on it", at) from None
        except struct.error:
            self.starved = size + 8
            raise self._error("has its operand cut off", at) from None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise self._error(f"has an operand of the wrong kind ({error})", at) from None
        self.end = self.pos
        return value

    def _check_objects(self) -> None:
        if self.objects > MAX_OBJECTS:
            raise Broken(f"is where the stream holds more objects than any checkpoint ({MAX_OBJECTS})")

    def _error(self, reason: str, at: int) -> FormatError:
        opcode = self.data[at : at + 1]
        reason = reason if len(reason) <= 200 else f"{reason[:200]}..."
        return FormatError(
            f"The pickle stream is broken or hostile: opcode {opcode!r} {reason}."
            if opcode
            else f"The pickle stream is cut off: {reason}.",
            where=f"{self.where}, byte {at}",
            maybe="the file was cut off or damaged on its way, or made to attack the program that loads it",
            remedy="compare its size and checksum with the original and fetch it again",
        )

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
        """What was pushed since the last MARK."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def spend(self, count: int) -> None:
        """Charges the copy of `count` bytes to the stream's budget."""
        self.copy_budget -= count
        if self.copy_budget < 0:
            raise Broken("is one of many calls that together copy far more than the stream holds")

    # -- objects ---------------------------------------------------------------------------------------------

    def find_global(self, module: str, name: str) -> Global:
        """The one record of a dotted name."""
        if len(module) + len(name) > MAX_NAME:
            raise Broken("has a name longer than any class's")
        full = f"{module}.{name}"
        found = self.globals.get(full)
        if found is None:
            found = self.globals[full] = Global(full)
        return found

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """What `function(*args)` stands for: a constructor of ours, or an opaque record."""
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
        """The record of a call of something that is not known, which is counted and reported."""
        self.opaque[name] = self.opaque.get(name, 0) + 1
        return Opaque(name, args)


class _Memo:
    """What the stream refers back to. Picklers number it 0, 1, 2, ...: a list; other indices are rare.

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


def read_pickle(data: bytes, *, where: str = "pickle") -> Any:
    """Reads a stream that has no persistent ids.

    Args:
        data: the pickle stream.
        where: names the source in errors.

    Raises:
        FormatError: the stream is broken or hostile.
    """
    return Machine(data, where=where).load()
