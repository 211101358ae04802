"""Shares the writing of a folder between this process and a second one, so that neither waits for the other.

The second process begins at the front and is kept supplied; this one makes the pickle meanwhile and then
takes batches from the back, so both end together however their speeds differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from torch2flow.checkpoints.writing.conversion_plan import Entry
from torch2flow.checkpoints.writing.kernel_copy import Helper, HelperLostError, Order

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
        SourceReadError: it can't be read.
        OSError: what the second process met.
    """
    helper = None
    if enabled and len(entries) > 1 and sum(map(_cost, entries)) >= WORTH_A_PROCESS:
        with suppress(OSError):  # there may be no second process to be had, which is only slower
            helper = Helper(str(root), progress)
    if helper is None:
        yield iter(entries), progress
        return
    done = False
    try:
        shared = _Shared(helper, entries, meta)
        shared.attend(2 * BATCH + COST_OF_PICKLE * len(entries))  # enough to do while the pickle is made here
        yield shared.mine(entries), partial(shared.wrote, progress)
        done = True
    finally:
        helper.close(failed=not done)


class _Shared:
    """The batches that are still to be written, and those that the second process was given and has not answered."""

    def __init__(self, helper: Helper, entries: list[Entry], meta: Callable[[Entry], bytes]) -> None:
        self.helper, self.meta, self.lost = helper, meta, False
        self.batches = deque(_batches([entry for entry in entries if _is_copied(entry)]))
        self.given: deque[list[Entry]] = deque()

    def mine(self, entries: list[Entry]) -> Iterator[Entry]:
        """What this process writes. At its end, everything is written."""
        yield from (entry for entry in entries if not _is_copied(entry))
        while self.batches or self.given:
            if self.batches:
                yield from self.batches.pop()
            self.attend(wait=not self.batches)

    def wrote(self, progress: Callable[[int], None], count: int) -> None:
        """Is told of each part that this process wrote."""
        progress(count)
        if count >= BATCH:  # a part of one large tensor: the other process may be done with its own
            self.attend()

    def attend(self, ahead: int = 2 * BATCH, wait: bool = False) -> None:
        """Takes the answers that are there, and keeps the second process supplied."""
        try:
            while self.given and (wait or self.helper.has_answer()):
                self._collect()
                wait = False
            while self.batches and not self.lost and self.helper.outstanding_cost < ahead:
                self.given.append(self.batches.popleft())
                batch = self.given[-1]
                self.helper.submit([_order(entry, self.meta(entry)) for entry in batch], sum(map(_cost, batch)))
        except HelperLostError:
            self.lost = True
            with suppress(HelperLostError):
                while self.helper.outstanding:
                    self._collect()  # it may say why it ended
            self.batches.extend(self.given)  # what it did not answer for is written here, once more
            self.given.clear()

    def _collect(self) -> None:
        self.helper.collect()
        self.given.popleft()


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
