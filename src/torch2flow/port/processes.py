"""Does one piece of work for each of many items in several processes, and gives the results in order."""

from __future__ import annotations

import marshal
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

MOST = 4
"""Processes. Each takes some 60 MiB of memory of its own."""

WORTH = 2_000_000
"""Bytes of source from which on it pays to start any: one process takes about a second for 500,000."""


def count_of_processes(nbytes: int) -> int:
    """How many processes pay for so many bytes of source."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST, usable) if nbytes >= WORTH and hasattr(os, "fork") else 1


def in_processes(work: Callable[[str], Any], items: Sequence[str], count: int) -> Iterator[Any]:
    """The results of `work` for each item, in order: plain data, computed by children that this process forks.

    A child only computes and writes to its pipe: it takes no lock that another thread of its parent may have held. What
    a child can't do, or one that was ended, is done here.
    """
    children = [_child(work, items[number::count]) for number in range(count)] if count > 1 else []
    try:
        for place, item in enumerate(items):
            row = _next(children[place % count][1]) if children else None
            yield work(item) if row is None else marshal.loads(row)
    finally:
        for pid, stream in children:
            stream.close()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _child(work: Callable[[str], Any], items: Sequence[str]) -> tuple[int, BinaryIO]:
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 and later warn of a fork beside threads
        pid = os.fork()
    if pid:
        os.close(writing)
        return pid, open(reading, "rb")
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells of it, and ends us
        with open(writing, "wb") as stream:
            for item in items:
                row = marshal.dumps(work(item))
                stream.write(len(row).to_bytes(8, "little") + row)
                stream.flush()
    finally:
        os._exit(0)


def _next(stream: BinaryIO) -> bytes | None:
    head = stream.read(8)
    size = int.from_bytes(head, "little")
    row = stream.read(size) if len(head) == 8 else b""
    return row if size and len(row) == size else None
