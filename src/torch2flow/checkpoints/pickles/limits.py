"""Limits on what a stream may ask for, and the error beyond them. No real checkpoint comes near any of them.

Each is there for a file that was made to exhaust or crash its reader; tests/attacks holds them all.
"""

MAX_INTEGER_BYTES = 1024
"""Python's integers are unbounded; nothing PyTorch writes needs more, and decimal conversion is quadratic."""

MAX_KEY_NODES = 64
"""Hashing a tuple recurses in C: a key nested two million deep ends CPython and PyTorch by SIGSEGV."""

MAX_ODD_KEYS = 1 << 14
MAX_SAME_HASH = 16
"""The hash of numbers and tuples has no secret, so a file can choose keys that collide: each of them is then compared
with all others, part by part. Integers of 64 bits alone give sixteen of one hash. Text and bytes are safe."""

MAX_OBJECTS = 4 << 20
"""Bounds memory and time: one byte makes a container of seventy bytes. A tensor takes about twenty objects."""

MAX_ARGUMENTS = 32
MAX_NAME = 4096
ITEM, HASHED_ITEM = 8, 64
"""What copying an item of a list, or of a dictionary or set, costs in bytes, about."""


class Broken(Exception):
    """The stream is broken or hostile; `reading.run_stream` adds at which byte."""
