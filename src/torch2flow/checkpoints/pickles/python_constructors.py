"""Constructors for the names that Python itself defines: containers, bytes and numbers. One short function each."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from torch2flow.checkpoints.pickles.limits import HASHED_ITEM, ITEM, Broken
from torch2flow.checkpoints.pickles.machine import Constructor, Machine
from torch2flow.checkpoints.pickles.values import StatefulDict


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
        target[machine.check_key(key)] = value


def _collection(kind: type) -> Constructor:
    def build(machine: Machine, items: Any = ()) -> Any:
        hashed = kind in (set, frozenset)
        machine.spend((HASHED_ITEM if hashed else ITEM) * len(items))
        if hashed:
            for item in items:
                machine.check_key(item)
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
        raise Broken(f"asks for the codec {encoding!r}")
    return text.encode(encoding)


def _bytearray(machine: Machine, source: bytes | str = b"", encoding: str = "latin1") -> bytearray:
    if not isinstance(source, bytes | str):  # bytearray(2**40) would allocate
        raise Broken("builds a bytearray from something other than bytes")
    if isinstance(source, str):
        return bytearray(_encode(machine, source, encoding))
    machine.spend(len(source))
    return bytearray(source)


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
