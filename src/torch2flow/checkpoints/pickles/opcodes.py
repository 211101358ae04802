"""The opcodes. Each is an operation on the machine's stack, and `TABLE` finds it by its byte.

Follows CPython's `Lib/pickletools.py`. Operations that would need code or data from outside the stream
(EXT1, NEXT_BUFFER and their kin) are refused.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from torch2flow.checkpoints.pickles.limits import ITEM, MAX_INTEGER_BYTES, Broken
from torch2flow.checkpoints.pickles.machine import Machine
from torch2flow.checkpoints.pickles.values import Opaque, StatefulDict

LARGE = 1 << 16
"""Bytes objects of at least this length are not copied if the stream is a mapped file."""

Operation = Callable[[Machine], None]


def _refused(machine: Machine) -> None:
    raise Broken("is unknown, or needs code or data from outside the stream")


TABLE: list[Operation | None] = [_refused] * 256
TABLE[ord(".")] = None  # STOP


def _opcode(code: bytes) -> Callable[[Operation], Operation]:
    def register(operation: Operation) -> Operation:
        TABLE[code[0]] = operation
        return operation

    return register


def _constant(code: bytes, value: Any) -> None:
    TABLE[code[0]] = lambda m: m.stack.append(value)


def _number(code: bytes, layout: str) -> None:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def operation(m: Machine) -> None:
        m.stack.append(unpack(m.data, m.pos)[0])
        m.pos += size

    TABLE[code[0]] = operation


def _sized(code: bytes, layout: str, make: Callable[[bytes], Any]) -> None:
    """An opcode with a length and that many bytes: strings, bytes, long integers."""
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def operation(m: Machine) -> None:
        (length,) = unpack(m.data, m.pos)
        m.pos += size
        m.stack.append(m.take_view(length) if length >= LARGE and make is bytes else make(m.take(length)))

    TABLE[code[0]] = operation


def _memo(code: bytes, layout: str, store: bool) -> None:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def put(m: Machine) -> None:
        m.memo.put(unpack(m.data, m.pos)[0], m.stack[-1])
        m.pos += size

    def get(m: Machine) -> None:
        m.stack.append(m.memo.get(unpack(m.data, m.pos)[0]))
        m.pos += size

    TABLE[code[0]] = put if store else get


def _long(raw: bytes) -> int:
    if len(raw) > MAX_INTEGER_BYTES:
        raise Broken(f"holds an integer of {len(raw)} bytes")
    return int.from_bytes(raw, "little", signed=True)


def _unicode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _python2_string(raw: bytes) -> str | bytes:
    """Text if it is ASCII, else bytes: a `str` of Python 2 does not say which it is."""
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
        raise Broken(f"announces pickle protocol {version}; the newest is 5")


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
        raise Broken("has a string without quotes")
    m.stack.append(_python2_string(line[1:-1].decode("unicode_escape").encode("latin1")))


@_opcode(b"V")
def _unicode_text(m: Machine) -> None:
    m.stack.append(m.take_line().decode("raw-unicode-escape"))


def _decimal(line: bytes) -> int:
    if len(line) > 2 * MAX_INTEGER_BYTES:
        raise Broken(f"holds an integer of {len(line)} digits")
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
    m.stack.append(frozenset(m.check_key(item) for item in items))


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
        target.update(m.check_key(item) for item in items)
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
        raise Broken(f"appends to a {type(target).__name__}")


def _set_pairs(m: Machine, target: Any, items: list[Any]) -> None:
    if isinstance(target, Opaque):
        target = target.entries
    if not isinstance(target, dict):
        raise Broken(f"sets items of a {type(target).__name__}")
    if len(items) % 2:
        raise Broken("sets a key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[key if type(key) is str else m.check_key(key)] = value


@_opcode(b"c")
def _global(m: Machine) -> None:
    module, name = m.take_line(), m.take_line()
    m.stack.append(m.find_global(module.decode("utf-8"), name.decode("utf-8")))


@_opcode(b"\x93")
def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise Broken("names a class by something other than text")
    m.stack.append(m.find_global(module, name))


@_opcode(b"R")
def _reduce(m: Machine) -> None:
    args = m.stack.pop()
    if type(args) is not tuple:
        raise Broken("calls with arguments that are no tuple")
    m.stack[-1] = m.call(m.stack[-1], args)


@_opcode(b"\x81")
def _newobj(m: Machine) -> None:
    _reduce(m)


@_opcode(b"\x92")
def _newobj_ex(m: Machine) -> None:
    keywords, args = m.stack.pop(), m.stack.pop()
    if not isinstance(keywords, dict) or type(args) is not tuple:
        raise Broken("calls with arguments that are no tuple and dict")
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
        raise Broken(f"sets the state of a {type(target).__name__}")


@_opcode(b"P")
def _persid(m: Machine) -> None:
    _persistent(m, m.take_line().decode("ascii"))


@_opcode(b"Q")
def _binpersid(m: Machine) -> None:
    _persistent(m, m.stack.pop())


def _persistent(m: Machine, pid: Any) -> None:
    if m.persistent_load is None:
        raise Broken("refers to an object outside the stream")
    m.stack.append(m.persistent_load(pid))
