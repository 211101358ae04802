"""The pickle machine: every opcode of protocols 0 to 5 as an operation on inert data.

Follows CPython's `Lib/pickletools.py` (the opcode table) and `Lib/pickle.py`. Python's own Unpickler is not
used: with `find_class` overridden it still crashes on deep keys and lets a stream modify what `find_class`
returned (docs/formats.md, "Why our own pickle machine"). Here a global is a name, a call is a look-up in a
table of constructors of ours, and anything else is an `Opaque` record.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any

from torch2flow.errors import FormatError
from torch2flow.pickles.values import Global, Opaque, StatefulDict

Constructor = Callable[..., Any]
PersistentLoad = Callable[[Any], Any]

MAX_INTEGER_BYTES = 1024
"""Python's integers are unbounded; nothing PyTorch writes needs more, and decimal conversion is quadratic."""

MAX_KEY_NODES = 64
"""Hashing a tuple recurses in C: one nested two million deep as a key ends CPython and PyTorch by SIGSEGV."""

MAX_ODD_KEYS = 1 << 14
"""Numbers and tuples hash without a secret: a file can choose keys that collide; text and bytes it can't."""

MAX_OBJECTS = 4 << 20
"""An opcode of one byte makes a container of seventy; a tensor takes about twenty. Bounds memory and time."""

MAX_ARGUMENTS = 32
MAX_NAME = 4096
BLOCK = 1 << 16  # opcodes between two looks at `Machine.objects`

ITEM, HASHED_ITEM = 8, 64
"""What copying an item of a list, or of a dictionary or set, costs in bytes, about."""

LARGE = 1 << 16
"""Bytes objects from this length on stay where they are if the stream is a mapped file."""

LONG_BINPUT, BINGET = ord("r"), ord("h")

_PLAIN_KEYS = frozenset((str, bytes, bool, type(None), Global, Opaque))


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
        table, data, size = _TABLE, self.data, len(self.data)
        memo, memo_index = self.memo.items, struct.Struct("<I").unpack_from
        at = self.pos
        try:
            while True:
                for _ in repeat(None, BLOCK):
                    at = self.pos
                    if at >= size:
                        self.starved = size + 1
                        raise _Broken("the stream ends before its STOP")
                    code = data[at]
                    # Two opcodes are half of every checkpoint's stream: they are done here, without a call.
                    if code == LONG_BINPUT and at + 4 < size:
                        self.memo.put(memo_index(data, at + 1)[0], self.stack[-1])
                        self.pos = at + 5
                        continue
                    if code == BINGET and at + 1 < size and data[at + 1] < len(memo):
                        self.stack.append(memo[data[at + 1]])
                        self.pos = at + 2
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
        except _Broken as error:
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
            raise _Broken(f"is where the stream holds more objects than any checkpoint ({MAX_OBJECTS})")

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
            raise _Broken(f"announces {count} bytes, but only {len(self.data) - start} are left")
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
            raise _Broken("has a text operand without an end")
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
            raise _Broken("is one of many calls that together copy far more than the stream holds")

    # -- objects ---------------------------------------------------------------------------------------------

    def find_global(self, module: str, name: str) -> Global:
        """The one record of a dotted name."""
        if len(module) + len(name) > MAX_NAME:
            raise _Broken("has a name longer than any class's")
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
                    raise _Broken(f"calls {function.name} with {len(args)} arguments")
                return constructor(self, *args)
            return self.unknown(function.name, args)
        if isinstance(function, Opaque):  # a pickled bound method, for example
            self.spend(ITEM * len(args))
            return Opaque("(call of an opaque object)", (function, *args))
        raise _Broken("calls something that is not a named function")

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
            raise _Broken("has a memo index that no pickler counts to")

    def get(self, index: int) -> Any:
        return self.items[index] if 0 <= index < len(self.items) else self.others[index]


class _Broken(Exception):
    """A fault of the stream; `Machine.load` adds where."""


def read_pickle(data: bytes, *, where: str = "pickle") -> Any:
    """Reads a stream that has no persistent ids.

    Args:
        data: the pickle stream.
        where: names the source in errors.

    Raises:
        FormatError: the stream is broken or hostile.
    """
    return Machine(data, where=where).load()


def check_key(machine: Machine, key: Any) -> Any:
    """Refuses dictionary keys and set members whose hash would fail, recurse deep, or collide at will."""
    kind = type(key)
    if kind in _PLAIN_KEYS:
        return key
    if kind is int:
        if key.bit_length() > 64:  # multiples of 2**61 - 1 hash alike
            raise _Broken("uses an integer of more than 64 bits as a key")
        return key
    machine.odd_keys += 1
    if machine.odd_keys > MAX_ODD_KEYS:
        raise _Broken(f"uses more than {MAX_ODD_KEYS} numbers, tuples or sets as keys")
    nodes, pending = 0, [key]
    while pending:
        node = pending.pop()
        nodes += 1
        if nodes > MAX_KEY_NODES:
            raise _Broken(f"uses a key of more than {MAX_KEY_NODES} nested parts")
        if isinstance(node, tuple | frozenset):
            pending.extend(node)
        elif isinstance(node, list | dict | set | deque | bytearray):
            raise _Broken(f"uses a {type(node).__name__} as a key")
    return key


# -- constructors that Python itself defines -----------------------------------------------------------------


def _ordered_dict(machine: Machine, pairs: Any = ()) -> StatefulDict:
    result = StatefulDict()
    if pairs:
        _update(machine, result, pairs)
    return result


def _plain_dict(machine: Machine, pairs: Any = ()) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    _update(machine, result, pairs)
    return result


def _update(machine: Machine, target: dict[Any, Any], pairs: Any) -> None:
    machine.spend(HASHED_ITEM * len(pairs))
    for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
        target[check_key(machine, key)] = value


def _collection(kind: type) -> Constructor:
    def build(machine: Machine, items: Any = ()) -> Any:
        hashed = kind in (set, frozenset)
        machine.spend((HASHED_ITEM if hashed else ITEM) * len(items))
        if hashed:
            for item in items:
                check_key(machine, item)
        return kind(items)

    return build


def _counter(machine: Machine, counts: Any = ()) -> Counter[Any]:
    return Counter(_plain_dict(machine, counts))


def _default_dict(machine: Machine, factory: Any = None, pairs: Any = ()) -> defaultdict[Any, Any]:
    result: defaultdict[Any, Any] = defaultdict(_FACTORIES.get(getattr(factory, "name", "")))
    _update(machine, result, pairs)
    return result


def _deque(machine: Machine, items: Any = (), maxlen: int | None = None) -> deque[Any]:
    machine.spend(ITEM * len(items))
    return deque(items, maxlen)


def _encode(machine: Machine, text: str, encoding: str = "utf-8") -> bytes:
    """`_codecs.encode(str, 'latin1')` is how protocol 2 spells bytes."""
    machine.spend(len(text))
    if encoding.replace("-", "").lower() not in ("latin1", "utf8", "ascii"):
        raise _Broken(f"asks for the codec {encoding!r}")
    return text.encode(encoding)


def _bytearray(machine: Machine, source: bytes | str = b"", encoding: str = "latin1") -> bytearray:
    if not isinstance(source, bytes | str):  # bytearray(2**40) would allocate
        raise _Broken("builds a bytearray from something other than bytes")
    machine.spend(len(source))
    return bytearray(source) if isinstance(source, bytes) else bytearray(source, encoding)


def _bytes(machine: Machine, source: bytes = b"") -> bytes:
    """Protocol 2 spells empty bytes as a call without arguments."""
    return bytes(_bytearray(machine, source))


def _complex(machine: Machine, real: float, imag: float = 0.0) -> complex:
    return complex(real, imag)


_FACTORIES: dict[str, Callable[[], Any]] = {
    f"{module}.{kind.__name__}": kind
    for module in ("builtins", "__builtin__")
    for kind in (list, dict, set, int, float, str)
}

CONSTRUCTORS: dict[str, Constructor] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "collections.defaultdict": _default_dict,
    "collections.deque": _deque,
    "_codecs.encode": _encode,
}
for _module in ("builtins", "__builtin__"):
    CONSTRUCTORS[f"{_module}.dict"] = _plain_dict
    CONSTRUCTORS[f"{_module}.bytearray"] = _bytearray
    CONSTRUCTORS[f"{_module}.bytes"] = _bytes
    CONSTRUCTORS[f"{_module}.complex"] = _complex
    for _kind in (list, tuple, set, frozenset):
        CONSTRUCTORS[f"{_module}.{_kind.__name__}"] = _collection(_kind)
"""What a stream may call without more: containers and numbers. Rooms that know more names extend a copy."""


# -- opcodes -------------------------------------------------------------------------------------------------

_Operation = Callable[[Machine], None]


def _refused(machine: Machine) -> None:
    raise _Broken("is unknown, or needs code or data from outside the stream")


_TABLE: list[_Operation | None] = [_refused] * 256
_TABLE[ord(".")] = None  # STOP


def _opcode(code: bytes) -> Callable[[_Operation], _Operation]:
    def register(operation: _Operation) -> _Operation:
        _TABLE[code[0]] = operation
        return operation

    return register


def _constant(code: bytes, value: Any) -> None:
    _TABLE[code[0]] = lambda m: m.stack.append(value)


def _number(code: bytes, layout: str) -> None:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def operation(m: Machine) -> None:
        m.stack.append(unpack(m.data, m.pos)[0])
        m.pos += size

    _TABLE[code[0]] = operation


def _sized(code: bytes, layout: str, make: Callable[[bytes], Any]) -> None:
    """An opcode with a length and that many bytes: strings, bytes, long integers."""
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def operation(m: Machine) -> None:
        (length,) = unpack(m.data, m.pos)
        m.pos += size
        m.stack.append(m.take_view(length) if length >= LARGE and make is bytes else make(m.take(length)))

    _TABLE[code[0]] = operation


def _memo(code: bytes, layout: str, store: bool) -> None:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def put(m: Machine) -> None:
        m.memo.put(unpack(m.data, m.pos)[0], m.stack[-1])
        m.pos += size

    def get(m: Machine) -> None:
        m.stack.append(m.memo.get(unpack(m.data, m.pos)[0]))
        m.pos += size

    _TABLE[code[0]] = put if store else get


def _long(raw: bytes) -> int:
    if len(raw) > MAX_INTEGER_BYTES:
        raise _Broken(f"holds an integer of {len(raw)} bytes")
    return int.from_bytes(raw, "little", signed=True)


def _unicode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _python2_string(raw: bytes) -> str | bytes:
    """A Python 2 `str` is text or bytes and does not say which."""
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        return raw


for _code, _value in ((b"N", None), (b"\x88", True), (b"\x89", False)):
    _constant(_code, _value)
for _code, _layout in ((b"J", "<i"), (b"K", "<B"), (b"M", "<H"), (b"G", ">d")):
    _number(_code, _layout)
for _code, _layout, _make in (
    (b"X", "<I", _unicode),
    (b"\x8c", "<B", _unicode),
    (b"\x8d", "<Q", _unicode),
    (b"T", "<i", _python2_string),
    (b"U", "<B", _python2_string),
    (b"B", "<I", bytes),
    (b"C", "<B", bytes),
    (b"\x8e", "<Q", bytes),
    (b"\x96", "<Q", bytearray),
    (b"\x8a", "<B", _long),
    (b"\x8b", "<i", _long),
):
    _sized(_code, _layout, _make)
for _code, _layout, _store in (
    (b"q", "<B", True),
    (b"r", "<I", True),
    (b"h", "<B", False),
    (b"j", "<I", False),
):
    _memo(_code, _layout, _store)


@_opcode(b"\x80")
def _proto(m: Machine) -> None:
    if (version := m.take(1)[0]) > 5:
        raise _Broken(f"announces pickle protocol {version}; the newest is 5")


@_opcode(b"\x95")
def _frame(m: Machine) -> None:
    m.take(8)  # frames are a hint for buffering readers


@_opcode(b"\x94")
def _memoize(m: Machine) -> None:
    m.memo.append(m.stack[-1])


@_opcode(b"p")
def _put_text(m: Machine) -> None:
    m.memo.put(_decimal(m.take_line()), m.stack[-1])


@_opcode(b"g")
def _get_text(m: Machine) -> None:
    m.stack.append(m.memo.get(_decimal(m.take_line())))


@_opcode(b"I")
def _int_text(m: Machine) -> None:
    line = m.take_line()
    m.stack.append(line == b"01" if line in (b"00", b"01") else _decimal(line))  # protocol 0 spells bools so


@_opcode(b"L")
def _long_text(m: Machine) -> None:
    m.stack.append(_decimal(m.take_line().rstrip(b"L")))


@_opcode(b"F")
def _float_text(m: Machine) -> None:
    m.stack.append(float(m.take_line()))


@_opcode(b"S")
def _string_text(m: Machine) -> None:
    line = m.take_line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise _Broken("has a string without quotes")
    m.stack.append(_python2_string(line[1:-1].decode("unicode_escape").encode("latin1")))


@_opcode(b"V")
def _unicode_text(m: Machine) -> None:
    m.stack.append(m.take_line().decode("raw-unicode-escape"))


def _decimal(line: bytes) -> int:
    if len(line) > 2 * MAX_INTEGER_BYTES:
        raise _Broken(f"holds an integer of {len(line)} digits")
    return int(line)


@_opcode(b"(")
def _mark(m: Machine) -> None:
    m.objects += 1
    m.marks.append(m.stack)
    m.stack = []


@_opcode(b"0")
def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:  # CPython: POP right behind a MARK takes the mark
        m.pop_mark()


@_opcode(b"1")
def _pop_to_mark(m: Machine) -> None:
    m.pop_mark()


@_opcode(b"2")
def _dup(m: Machine) -> None:
    m.stack.append(m.stack[-1])


@_opcode(b")")
def _empty_tuple(m: Machine) -> None:
    m.stack.append(())


@_opcode(b"]")
def _empty_list(m: Machine) -> None:
    m.objects += 1
    m.stack.append([])


@_opcode(b"}")
def _empty_dict(m: Machine) -> None:
    m.objects += 1
    m.stack.append({})


@_opcode(b"\x8f")
def _empty_set(m: Machine) -> None:
    m.objects += 1
    m.stack.append(set())


@_opcode(b"\x85")
def _tuple1(m: Machine) -> None:
    m.objects += 1
    m.stack[-1] = (m.stack[-1],)


@_opcode(b"\x86")
def _tuple2(m: Machine) -> None:
    m.objects += 1
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)


@_opcode(b"\x87")
def _tuple3(m: Machine) -> None:
    m.objects += 1
    last = m.stack.pop()
    middle = m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)


@_opcode(b"t")
def _tuple(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


@_opcode(b"l")
def _list(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


@_opcode(b"d")
def _dict(m: Machine) -> None:
    items = m.pop_mark()
    target: dict[Any, Any] = {}
    _set_pairs(m, target, items)
    m.stack.append(target)


@_opcode(b"\x91")
def _frozenset(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(frozenset(check_key(m, item) for item in items))


@_opcode(b"a")
def _append(m: Machine) -> None:
    item = m.stack.pop()
    _extend(m.stack[-1], [item])


@_opcode(b"e")
def _appends(m: Machine) -> None:
    items = m.pop_mark()
    _extend(m.stack[-1], items)


@_opcode(b"\x90")
def _additems(m: Machine) -> None:
    items = m.pop_mark()
    target = m.stack[-1]
    if isinstance(target, set):
        target.update(check_key(m, item) for item in items)
    else:
        _extend(target, items)


@_opcode(b"s")
def _setitem(m: Machine) -> None:
    value = m.stack.pop()
    key = m.stack.pop()
    _set_pairs(m, m.stack[-1], [key, value])


@_opcode(b"u")
def _setitems(m: Machine) -> None:
    items = m.pop_mark()
    _set_pairs(m, m.stack[-1], items)


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, Opaque):
        target.items.extend(items)
    elif isinstance(target, list | deque):
        target.extend(items)
    else:
        raise _Broken(f"appends to a {type(target).__name__}")


def _set_pairs(m: Machine, target: Any, items: list[Any]) -> None:
    if isinstance(target, Opaque):
        target = target.entries
    if not isinstance(target, dict):
        raise _Broken(f"sets items of a {type(target).__name__}")
    if len(items) % 2:
        raise _Broken("sets a key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[key if type(key) is str else check_key(m, key)] = value


@_opcode(b"c")
def _global(m: Machine) -> None:
    module, name = m.take_line(), m.take_line()
    m.stack.append(m.find_global(module.decode("utf-8"), name.decode("utf-8")))


@_opcode(b"\x93")
def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise _Broken("names a class by something other than text")
    m.stack.append(m.find_global(module, name))


@_opcode(b"R")
def _reduce(m: Machine) -> None:
    args = m.stack.pop()
    if type(args) is not tuple:
        raise _Broken("calls with arguments that are no tuple")
    m.stack[-1] = m.call(m.stack[-1], args)


@_opcode(b"\x81")
def _newobj(m: Machine) -> None:
    _reduce(m)


@_opcode(b"\x92")
def _newobj_ex(m: Machine) -> None:
    keywords, args = m.stack.pop(), m.stack.pop()
    if not isinstance(keywords, dict) or type(args) is not tuple:
        raise _Broken("calls with arguments that are no tuple and dict")
    if keywords:
        m.spend(ITEM * len(args))
    m.stack[-1] = m.call(m.stack[-1], (*args, keywords) if keywords else args)


@_opcode(b"o")
def _obj(m: Machine) -> None:
    function, *args = m.pop_mark()
    m.stack.append(m.call(function, tuple(args)))


@_opcode(b"i")
def _inst(m: Machine) -> None:
    module, name = m.take_line(), m.take_line()
    args = m.pop_mark()
    m.stack.append(m.call(m.find_global(module.decode("utf-8"), name.decode("utf-8")), tuple(args)))


@_opcode(b"b")
def _build(m: Machine) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    if isinstance(target, Opaque):
        target.state = state
    elif isinstance(target, StatefulDict) and isinstance(state, dict):
        target.attributes = state
    elif hasattr(type(target), "set_pickled_state"):
        if isinstance(state, tuple) and state and isinstance(state[-1], str):
            m.spend(len(state[-1]))  # a Python 2 array's bytes, which are copied out of text
        target.set_pickled_state(state)
    else:
        raise _Broken(f"sets the state of a {type(target).__name__}")


@_opcode(b"P")
def _persid(m: Machine) -> None:
    _persistent(m, m.take_line().decode("ascii"))


@_opcode(b"Q")
def _binpersid(m: Machine) -> None:
    _persistent(m, m.stack.pop())


def _persistent(m: Machine, pid: Any) -> None:
    if m.persistent_load is None:
        raise _Broken("refers to an object outside the stream")
    m.stack.append(m.persistent_load(pid))
