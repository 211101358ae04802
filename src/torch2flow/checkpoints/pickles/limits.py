"""What a stream may ask for: limits that no checkpoint comes near, and the fault that is raised beyond them.

Each is there for a file that was made to exhaust or crash its reader; tests/attacks holds them all.
"""

from __future__ import annotations

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


class Broken(Exception):
    """A fault of the stream; `reading.run_stream` adds where."""
