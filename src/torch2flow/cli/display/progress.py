"""The progress bar, and the lines that say what is being done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape

from torch2flow.cli.display.console import err

if TYPE_CHECKING:
    from torch2flow.checkpoints.writing.entry_bytes import Progress

SHOWN_FROM = 64 << 20
"""From how many bytes on a progress bar is shown."""


@contextmanager
def conversion_progress() -> Iterator[Callable[[int], Progress]]:
    """The progress bar of a conversion. It is shown on a terminal only, and for large work only."""
    with ExitStack() as stack:
        yield lambda total: stack.enter_context(progress_bar("writing", total))


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Progress]:
    """A bar with rate and time left. Nothing is shown if stderr is no terminal or the work is small."""
    if not err.is_terminal or total < SHOWN_FROM:
        yield lambda count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(label, total=total)
        pending, shown = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal pending, shown
            pending += count
            if time.monotonic() - shown > 0.1:  # a call per tensor would cost more than the tensor
                bar.advance(task, pending)
                pending, shown = 0, time.monotonic()

        yield advance


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal which step is being done. Nothing is shown elsewhere."""
    if not err.is_terminal:
        yield lambda text: None
        return
    with err.status("") as status:
        yield lambda text: status.update(escape(text))
