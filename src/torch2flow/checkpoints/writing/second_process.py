"""Shares the writing of a folder between this process and a second one, so that neither waits for the other.

The second process begins at the front and is kept supplied; this one makes the pickle meanwhile and then
takes batches from the back, so both end together however their speeds differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch2flow.checkpoints.writing.conversion_plan import Entry
from torch2flow.checkpoints.writing.kernel_copy import Helper, Order

COST_OF_FILES = 128 << 10
"""Making a tensor's folder and two files takes about as long as copying this many bytes."""

BATCH = 32 << 20
"""Cost of one hand-over to the second process."""

COST_OF_PICKLE = 32 << 10
"""Making a tensor's part of the pickle takes about as long as copying this many bytes."""

WORTH_A_PROCESS = 3 * BATCH


@contextmanager
def shared_work(
    entries: list[Entry],
    root: Path,
    meta: Callable[[Entry], bytes],
    progress: Callable[[int], None],
    enabled: bool,
) -> Iterator[tuple[Iterator[Entry], Callable[[int], None]]]:
    """Gives the entries that this process is to write, and what to tell of each part it wrote.

    When they are written, so are all others.

    Args:
        entries: all that there is to write.
        root: the folder in which each entry gets its own.
        meta: the content of an entry's `meta` file.
        progress: called with each number of bytes that either process wrote.
        enabled: False leaves everything to this process.

    Raises:
        SourceChangedError: the source became shorter.
        OSError: what the second process met.
    """
    if not enabled or len(entries) < 2 or sum(map(_cost, entries)) < WORTH_A_PROCESS:
        yield iter(entries), progress
        return
    batches = deque(_batches([entry for entry in entries if _is_copied(entry)]))
    helper = Helper(str(root), progress)

    def supply(ahead: int) -> None:
        while batches and helper.outstanding_cost < ahead:
            batch = batches.popleft()
            helper.submit([_order(entry, meta(entry)) for entry in batch], sum(map(_cost, batch)))

    def attend() -> None:
        while helper.has_answer():
            helper.collect()
        supply(2 * BATCH)

    def mine() -> Iterator[Entry]:
        yield from (entry for entry in entries if not _is_copied(entry))
        while batches:
            yield from batches.pop()
            attend()

    def wrote(count: int) -> None:
        progress(count)
        if count >= BATCH:  # a part of one large tensor: the other process may be done with its own
            attend()

    done = False
    try:
        supply(2 * BATCH + COST_OF_PICKLE * len(entries))  # enough to do while the pickle is made here
        yield mine(), wrote
        while helper.outstanding:
            helper.collect()
        done = True
    finally:
        helper.close(failed=not done)


def _cost(entry: Entry) -> int:
    return entry.nbytes + COST_OF_FILES


def _batches(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Batches of neighbouring entries, each of about `BATCH` cost."""
    batch: list[Entry] = []
    cost = 0
    for entry in entries:
        batch.append(entry)
        cost += _cost(entry)
        if cost >= BATCH:
            yield batch
            batch, cost = [], 0
    if batch:
        yield batch


def _is_copied(entry: Entry) -> bool:
    """Whether the bytes can be copied from a file as they are. Others are made in this process."""
    return entry.plain is not None and entry.plain.storage.file is not None


def _order(entry: Entry, meta: bytes) -> Order:
    """What the second process is told about one entry."""
    source = entry.plain
    assert source is not None and source.storage.file is not None
    folder = entry.place.rpartition("/")[2]
    offset = source.storage.offset + source.byte_offset
    return (folder, meta, source.storage.file.location, source.storage.file.status.st_ino, offset, entry.nbytes)
