"""Shares the writing of a folder between this process and a second one, so that neither waits for the other.

The second process begins at the front and is kept supplied; this one makes the pickle meanwhile and then
takes batches from the back, so both end together however their speeds differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch2flow.placing import Helper, Order
from torch2flow.plan import Entry

COST_OF_FILES = 128 << 10
"""Making a tensor's folder and two files takes about as long as copying this many bytes."""

BATCH = 32 << 20
"""Cost of one hand-over to the second process."""

WORTH_A_PROCESS = 3 * BATCH


@contextmanager
def shared_work(
    entries: list[Entry],
    root: Path,
    meta: Callable[[Entry], bytes],
    progress: Callable[[int], None],
    enabled: bool,
) -> Iterator[Iterator[Entry]]:
    """Gives the entries that this process is to write; when they are done, so are all others.

    Args:
        entries: all that there is to write.
        root: the folder in which each entry gets its own.
        meta: the content of an entry's `meta` file.
        progress: called with the bytes that the second process wrote.
        enabled: False leaves everything to this process.

    Raises:
        SourceEndsError: the source became shorter.
        OSError: what the second process met.
    """
    if not enabled or len(entries) < 2 or sum(map(_cost, entries)) < WORTH_A_PROCESS:
        yield iter(entries)
        return
    orders = [(entry, _order(entry, meta(entry))) for entry in entries]
    batches = deque(_batches([(entry, order) for entry, order in orders if order]))
    helper = Helper(str(root), progress)

    def supply(ahead: int) -> None:
        while batches and helper.outstanding_cost < ahead:
            batch = batches.popleft()
            helper.submit([order for _, order in batch], sum(_cost(entry) for entry, _ in batch))

    def mine() -> Iterator[Entry]:
        yield from (entry for entry, order in orders if order is None)
        while batches:
            yield from (entry for entry, _ in batches.pop())
            while helper.has_answer():
                helper.collect()
            supply(2 * BATCH)

    done = False
    try:
        supply(12 * BATCH)  # enough to do while the pickle is made here
        yield mine()
        while helper.outstanding:
            helper.collect()
        done = True
    finally:
        helper.close(failed=not done)


def _cost(entry: Entry) -> int:
    return entry.nbytes + COST_OF_FILES


def _batches(work: list[tuple[Entry, Order]]) -> Iterator[list[tuple[Entry, Order]]]:
    """Neighbours, together about `BATCH` of cost."""
    batch: list[tuple[Entry, Order]] = []
    cost = 0
    for entry, order in work:
        batch.append((entry, order))
        cost += _cost(entry)
        if cost >= BATCH:
            yield batch
            batch, cost = [], 0
    if batch:
        yield batch


def _order(entry: Entry, meta: bytes) -> Order | None:
    """What the second process is told; None where the bytes have to be made, not copied."""
    source = entry.plain
    if source is None or source.storage.file is None:
        return None
    folder = entry.place.rpartition("/")[2]
    offset = source.storage.offset + source.byte_offset
    return (folder, meta, source.storage.file.location, offset, entry.nbytes)
