"""What a stream may ask for: limits that no checkpoint comes near, and the fault that is raised beyond them.

Each is there for a file that was made to exhaust or crash its reader; tests/attacks holds them all.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.pickles.values import Global, Opaque

if TYPE_CHECKING:
    from torch2flow.checkpoints.pickles.machine import Machine

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
ITEM, HASHED_ITEM = 8, 64
"""What copying an item of a list, or of a dictionary or set, costs in bytes, about."""

_PLAIN_KEYS = frozenset((str, bytes, bool, type(None), Global, Opaque))


class Broken(Exception):
    """A fault of the stream; `Machine.load` adds where."""


def check_key(machine: Machine, key: Any) -> Any:
    """Refuses dictionary keys and set members whose hash would fail, recurse deep, or collide at will."""
    kind = type(key)
    if kind in _PLAIN_KEYS:
        return key
    if kind is int:
        if key.bit_length() > 64:  # multiples of 2**61 - 1 hash alike
            raise Broken("uses an integer of more than 64 bits as a key")
        return key
    machine.odd_keys += 1
    if machine.odd_keys > MAX_ODD_KEYS:
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
    return key
