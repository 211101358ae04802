"""A bounded fuzz run: whatever happens to a file, opening and converting it succeed or give a `Torch2FlowError`.

`TORCH2FLOW_FUZZ_SECONDS=600 pytest tests/attacks/test_fuzz.py` runs longer; `TORCH2FLOW_FUZZ_FIRST` starts elsewhere.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from attack_counts import record_counts

from .harness import Worker
from .seeds import FIXTURE_SEEDS, SEEDS

SECONDS = int(os.environ.get("TORCH2FLOW_FUZZ_SECONDS", "15"))
FIRST = int(os.environ.get("TORCH2FLOW_FUZZ_FIRST", "0"))
CASES_A_FORK = 2000
CONVERT_EACH = 4
MOST_CASES = 8000 if SECONDS <= 15 else 1 << 40
FIXTURES = 30


def test_damaged_files(worker: Worker, tmp_path: Path) -> None:
    """Byte flips, lengths, splices, cuts, opcodes, JSON of other kinds, and pickles out of every constructor."""
    seeds = [*SEEDS.values(), *list(FIXTURE_SEEDS.values())[:: max(1, len(FIXTURE_SEEDS) // FIXTURES)]]
    cases = []
    for number, seed in enumerate(seeds):
        folder = tmp_path / str(number) / "given"
        folder.mkdir(parents=True)
        path, targets = seed(folder)
        cases.append({"path": str(path), "targets": list(map(str, targets))})
    first, left = FIRST, float(SECONDS)
    opened = refused = 0
    while left > 0 and first < FIRST + MOST_CASES:
        job = {"first": first, "count": CASES_A_FORK, "until": left, "convert_each": CONVERT_EACH}
        outcome = worker.run("fuzz", tmp_path, cases=cases, seconds=SECONDS + 30, **job)
        assert not outcome.fault, reproducer(tmp_path, outcome.fault)
        opened, refused = opened + outcome.answer["opened"], refused + outcome.answer["refused"]
        left -= outcome.cpu
        first = outcome.answer["next"] + 1
    record_counts("damaged files", inputs=opened + refused, refused=refused, accepted=opened, faults=0)
    assert opened > 20 and refused > 20, "the damage is too small or too large to say anything"


def reproducer(folder: Path, fault: str) -> str:
    """The number of the case that failed, and the file it made."""
    number, _, target = (folder / "report.case").read_text().partition(" ")
    data = Path(target).read_bytes()
    shown = base64.b64encode(data).decode() if len(data) < 20_000 else "(too long to show)"
    return f"case {number} (TORCH2FLOW_FUZZ_FIRST={number}), {Path(target).name}, base64:\n{shown}\n{fault}"
