"""Every hostile file of the corpus: one clear error or harmless data, nothing executed, nothing written."""

from __future__ import annotations

import pickletools
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from .corpus import Attack, all_attacks
from .harness import Outcome, Worker, listing

ALL = all_attacks()
ATTACKS = [pytest.param(attack, id=f"{attack.family}-{attack.name}") for attack in ALL]

_OPENED = [attack for attack in ALL if attack.refused is None and not attack.name.startswith("reduce_")]
_OTHERS = [attack for attack in ALL if attack not in _OPENED and attack.memory <= 256]
SAMPLE = [pytest.param(attack, id=f"{attack.family}-{attack.name}") for attack in (*_OPENED, *_OTHERS[::10])]
"""Through the command line go all that open, and of those that are refused, each tenth."""

CONTROLS = {*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {ord("\n")}
"""Characters that move the cursor, change colours or titles, or turn the direction of writing."""

WRITTEN = {
    *("builtins.set", "builtins.frozenset", "builtins.complex", "builtins.bytearray", "_codecs.encode"),
    *("numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct"),
}
"""What an output may name beside OneFlow's own classes and the containers of `collections`."""


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


@pytest.mark.parametrize("attack", SAMPLE)
def test_command_line(attack: Attack, worker: Worker, tmp_path: Path) -> None:
    """`inspect` and `convert` end with one clear error and its exit code, or do their work; nothing else is left."""
    folder, place = tmp_path / "given", tmp_path / "place"
    folder.mkdir()
    place.mkdir()
    path, out = attack.build(folder), place / "out"
    before = listing(folder)
    runs = [(["inspect", path], (0,))]
    if attack.refused is None:
        runs += [(["inspect", path, "--tree"], (0,)), (["inspect", path, "--json"], (0,))]
    runs.append((["convert", path, "-o", out], attack.convert))
    for arguments, allowed in runs:
        command = [str(argument) for argument in arguments]
        outcome = worker.run("cli", tmp_path, args=command, nobody=attack.nobody)
        check(attack, outcome)
        code = outcome.answer["exit_code"]
        if "There is no tensor to convert" in outcome.errors and "--key" not in command:  # as it is, if asked for
            runs.append(([*arguments, "--key", "."], allowed))
            continue
        assert code in ((3,) if attack.refused is not None else allowed), outcome.errors + outcome.output
        check_printed(outcome, code)
        assert listing(folder) == before, "files were written beside the source"
        left = {entry.name for entry in place.iterdir()}
        assert left <= ({"out"} if code == 0 and "convert" in command else set()), "something was left"
    if (out / "pickled_data").exists():
        check_written(out / "pickled_data")


def check_written(path: Path) -> None:
    """Whoever loads the output runs what it names: only what OneFlow's own checkpoints name, and plain containers."""
    named = set()
    for opcode, argument, _ in pickletools.genops(path.read_bytes()):
        if opcode.name == "GLOBAL":
            named.add(argument.replace(" ", "."))
        assert opcode.name not in ("INST", "OBJ", "EXT1", "EXT2", "EXT4", "STACK_GLOBAL", "NEWOBJ_EX")
    hostile = {full for full in named if not full.startswith(("oneflow.", "collections."))} - WRITTEN
    assert not hostile, f"the output names {hostile}"


REAL = ("reduce_in_zip", "tuple_2_million_deep_as_key", "dag_of_lists_60_levels", "fifo", "file_html", "key_title")


@pytest.mark.parametrize("attack", [attack for attack in ALL if attack.name in REAL], ids=lambda attack: attack.name)
def test_real_command(attack: Attack, tmp_path: Path) -> None:
    """The same through an interpreter of its own, as a user starts it: `python -m torch2flow`."""
    path = attack.build(tmp_path)
    before = listing(tmp_path)
    for arguments in (["inspect", path], ["convert", path, "--key", ".", "-o", tmp_path / "out"]):
        done = subprocess.run(
            [sys.executable, "-m", "torch2flow", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
        )
        assert done.returncode == (0 if attack.refused is None else 3), done.stderr
        assert "Traceback" not in done.stderr
        assert attack.refused is None or attack.refused in done.stderr
        assert not {character for character in done.stdout + done.stderr if ord(character) in CONTROLS}
    after = {name: entry for name, entry in listing(tmp_path).items() if name.split("/")[0] != "out"}
    assert after == before


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
