"""A file that is cut off, at any byte, is refused with one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import Worker
from .seeds import FIXTURE_SEEDS, SEEDS, Seed

HEADS = 400
"""Every boundary of the first and last bytes; a stride through the rest."""

STRIDES = 150


FIXTURES = [
    "torch-1.0.1-module-legacy.pth",
    "torch-1.6.0-state_dict-zip.pth",
    "torch-2.13.0-net.pt2",
    "torch-2.13.0-state_dict-zip.pth",
    "torch-2.13.0-dtypes.safetensors",
    "tar-state_dict.pth",
]
CASES = [*SEEDS.items(), *((name, FIXTURE_SEEDS[name]) for name in FIXTURES if name in FIXTURE_SEEDS)]


@pytest.mark.parametrize(("name", "seed"), [pytest.param(*case, id=case[0]) for case in CASES])
def test_each_length_is_refused(name: str, seed: Seed, worker: Worker, tmp_path: Path) -> None:
    """Cut at every boundary near both ends and by a stride between, each file of the container in turn."""
    folder = tmp_path / "given"
    folder.mkdir()
    path, targets = seed(folder)
    whole = worker.run("drive", tmp_path, path=str(path))
    assert "opened" in whole.answer, whole.fault or whole.answer
    for target in targets:
        size = target.stat().st_size
        lengths = sorted(
            {*range(min(HEADS, size)), *range(max(0, size - HEADS), size), *range(0, size, size // STRIDES + 1)}
        )
        outcome = worker.run("sweep", tmp_path, path=str(path), target=str(target), lengths=lengths, seconds=60)
        assert not outcome.fault, outcome.fault
        accepted = [length for length in outcome.answer["accepted"] if length < needed(target)]
        assert not accepted, f"{target.name} cut at {accepted} of {size} bytes was accepted"


def needed(target: Path) -> int:
    """Bytes of a file that have to be there; a text may lose its last line feed, a tar its last padding."""
    raw = target.read_bytes()
    if target.name == "meta":
        return raw.index(b"kFloat") + len(b"kFloat")
    if raw[257:262] == b"ustar":
        return len(raw.rstrip(b"\0"))
    return len(raw)
