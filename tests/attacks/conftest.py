"""The worker that opens hostile files, one for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """Opens files in forks with limits."""
    worker = Worker()
    yield worker
    worker.close()
