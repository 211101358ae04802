"""Every hostile file of the corpus: one clear error or harmless data, nothing executed, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from .corpus import Attack, all_attacks
from .harness import Outcome, Worker, listing

ATTACKS = [pytest.param(attack, id=f"{attack.family}-{attack.name}") for attack in all_attacks()]


@pytest.mark.parametrize("attack", ATTACKS)
def test_library(attack: Attack, worker: Worker, tmp_path: Path) -> None:
    """Opening it and reading every tensor gives a `Torch2FlowError`, or data and a report of what is unknown."""
    folder = tmp_path / "given"
    folder.mkdir()
    path = attack.build(folder)
    before = listing(folder)
    outcome = worker.run("drive", tmp_path, path=str(path), nobody=attack.nobody)
    check(attack, outcome)
    assert listing(folder) == before, "files were written"
    if attack.refused is not None:
        assert "refused" in outcome.answer, outcome.answer
        assert attack.refused in outcome.answer.get("refused", ""), outcome.answer
        assert len(outcome.answer["refused"]) < 7000
    else:
        assert "opened" in outcome.answer, outcome.answer
        missing = set(attack.reports) - set(outcome.answer["opaque"])
        assert not missing, f"not reported: {missing}"


def check(attack: Attack, outcome: Outcome) -> None:
    """What holds for every attack."""
    assert not outcome.fault, outcome.fault
    assert outcome.peak < attack.memory, f"{outcome.peak:.0f} MiB of memory"
