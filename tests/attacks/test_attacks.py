"""Every hostile file of the corpus: one clear error or harmless data, nothing executed, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from .corpus import Attack, all_attacks
from .harness import Outcome, Worker, listing

CONTROLS = {*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {ord("\n")}
"""Characters that move the cursor, change colours or titles, or turn the direction of writing."""

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


@pytest.mark.parametrize("attack", ATTACKS)
def test_command_line(attack: Attack, worker: Worker, tmp_path: Path) -> None:
    """`inspect` and `convert` end with one clear error and its exit code, or do their work; nothing else is left."""
    folder, place = tmp_path / "given", tmp_path / "place"
    folder.mkdir()
    place.mkdir()
    path, out = attack.build(folder), place / "out"
    before = listing(folder)
    for arguments, allowed in ((["inspect", path], (0,)), (["convert", path, "-o", out], attack.convert)):
        command = [str(argument) for argument in arguments]
        outcome = worker.run("cli", tmp_path, args=command, nobody=attack.nobody)
        check(attack, outcome)
        code = outcome.answer["exit_code"]
        assert code in ((3,) if attack.refused is not None else allowed), outcome.errors + outcome.output
        check_printed(outcome, code)
        assert listing(folder) == before, "files were written beside the source"
        left = {entry.name for entry in place.iterdir()}
        assert left <= ({"out"} if code == 0 and "convert" in command else set()), "something was left"


def check_printed(outcome: Outcome, code: int) -> None:
    """No traceback, no empty refusal, and nothing that a terminal would obey."""
    assert "Traceback" not in outcome.errors + outcome.output
    assert code == 0 or outcome.errors.startswith("torch2flow: "), outcome.errors
    obeyed = {character for character in outcome.errors + outcome.output if ord(character) in CONTROLS}
    assert not obeyed, f"control characters reach the terminal: {sorted(map(ascii, obeyed))}"


def check(attack: Attack, outcome: Outcome) -> None:
    """What holds for every attack."""
    assert not outcome.fault, outcome.fault
    assert outcome.peak < attack.memory, f"{outcome.peak:.0f} MiB of memory"
