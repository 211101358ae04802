"""Runs a script with PyTorch, twice, and what it was ported to with OneFlow, in copies of their folders."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch2flow.errors import UsageError
from torch2flow.guards.child_python import not_started, other_python, own_module
from torch2flow.guards.regular_files import is_regular
from torch2flow.guards.termination import ended_by_sigterm
from torch2flow.port.tree import SKIPPED
from torch2flow.proof.scripts.step_comparison import ScriptComparison, compare_losses

RECORDER = "torch2flow.proof.scripts.recorder"

COPIED = 1 << 20
"""Files up to this size are copied, so that a script may change them; larger ones are data, and linked."""

FILES = 1000
"""A folder with more files than this is data, and linked."""

SHOWN = 30
"""Last lines of a script's output that are shown when it fails."""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What is run.

    Attributes:
        command: the script and its arguments, as after `python`: `train.py --epochs 1`, `-m nets.train`.
        source: the original folder, or the one file.
        ported: what it was ported to.
        package: the name of the package that the folder is; "" for a folder of scripts, or one file.
        python: an interpreter that has PyTorch; "" is this one.
        steps: after how many steps each run ends.
        ranks: how many processes each run is.
    """

    command: str
    source: Path
    ported: Path
    package: str = ""
    python: str = ""
    steps: int = 50
    ranks: int = 1


def verify_script(run: ScriptRun, say: Callable[[str], None] = lambda text: None) -> ScriptComparison:
    """Runs both sides, and compares their losses.

    Raises:
        UsageError: the interpreter can't be started, or the script does not run with PyTorch, or trains nothing.
    """
    as_module, script, arguments = _words(run)
    with tempfile.TemporaryDirectory(prefix="torch2flow-") as temporary:
        folder = Path(temporary)
        sides = {"torch": run.source, "shaken": run.source, "flow": run.ported}
        names = {"torch": "running it with PyTorch", "shaken": "once more, to measure rounding", "flow": "with OneFlow"}
        found = ScriptComparison()
        for side, place in sides.items():
            say(names[side])
            started = place.name if place.is_file() else script
            job = {
                "library": "oneflow" if side == "flow" else "torch", "script": started, "arguments": arguments,
                "as_module": as_module, "out": str(folder / "records" / side), "steps": run.steps,
                "repeat": str(folder / "records" / "torch") if side == "flow" else "", "shaken": side == "shaken",
            }  # fmt: skip
            failure = _run(run, _work_folder(place, folder / side, run.package), json.dumps(job), side)
            if failure and side != "flow":
                raise UsageError(f"The original does not run with PyTorch: {failure}", where=run.command)
            found.failure = failure
        for rank in map(str, range(run.ranks)):
            losses = [_losses(folder / "records" / side / rank) for side in sides]
            if not losses[0]:
                raise UsageError(
                    "The original calls `backward` on no loss, so there is nothing to compare.", where=run.command
                )
            found.steps += compare_losses(*losses)
        found.notes = _notes(folder / "records")
    return found


def _words(run: ScriptRun) -> tuple[bool, str, list[str]]:
    """Whether a command names a module, what it names, and what is handed over."""
    try:
        words = shlex.split(run.command)
    except ValueError as error:
        raise UsageError(f"The command can't be read: {error}.", where=run.command) from None
    as_module = words[:1] == ["-m"]
    words = words[as_module:]
    example = '--verify-script "train.py --epochs 1"'
    if not words or (as_module and run.source.is_file()) or (not as_module and _leads_out(words[0])):
        raise UsageError("The command names no script of what is ported.", where=run.command, remedy=example)
    script = run.source if run.source.is_file() else run.source / words[0]
    if not as_module and (not is_regular(script) or script.name != Path(words[0]).name):
        raise UsageError("There is no such script in what is ported.", where=words[0], remedy=example)
    return as_module, words[0], words[1:]


def _leads_out(script: str) -> bool:
    """Whether a path leads out of the folder in which it is looked for."""
    return Path(script).is_absolute() or ".." in Path(script).parts


def _losses(folder: Path) -> list[float]:
    file = folder / "losses.jsonl"
    return [float(json.loads(line)) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def _notes(records: Path) -> list[str]:
    notes: dict[str, int] = {}
    for file in sorted(records.glob("flow/*/notes.json")):
        for text, count in json.loads(file.read_text("utf-8")).items():
            notes[text] = notes.get(text, 0) + count
    return [f"{text} ({count} times)" for text, count in sorted(notes.items())]


def _work_folder(place: Path, folder: Path, package: str) -> Path:
    """A copy of a folder of code, for a script to work in; returns where to start it."""
    inside = folder / package if package else folder
    inside.mkdir(parents=True)
    root = place if place.is_dir() else place.parent
    for path in sorted(root.iterdir()):
        target = inside / path.name
        if path.name in SKIPPED:
            continue
        if path.is_file() and path.stat().st_size <= COPIED:
            shutil.copyfile(path, target)
        elif path.is_dir() and place.is_dir() and not path.is_symlink() and len(os.listdir(path)) <= FILES:
            _work_folder(path, target, "")
        else:
            target.symlink_to(path.absolute())
    return folder


def _run(run: ScriptRun, folder: Path, job: str, side: str) -> str:
    """Runs one side to its end; returns why it failed, or ""."""
    here = side == "flow" or not run.python
    command = own_module(RECORDER, job) if here else [*other_python(run.python, RECORDER), job]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed, ended_by_sigterm():
        try:
            for rank in range(run.ranks):
                world: dict[str, object] = {
                    "RANK": rank,
                    "LOCAL_RANK": rank,
                    "WORLD_SIZE": run.ranks,
                    "LOCAL_WORLD_SIZE": run.ranks,
                }
                world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                environment = {**os.environ, "PYTHONHASHSEED": "0"}
                if run.ranks > 1:
                    environment |= {name: str(value) for name, value in world.items()}
                processes.append(
                    subprocess.Popen(
                        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed
                    )
                )
                time.sleep(1.0 if rank == 0 and run.ranks > 1 else 0.0)  # OneFlow's rank 0 has to listen first
            codes = _ends(processes)
        except OSError as error:
            raise not_started(run.python, error) from None
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
        if not any(codes):
            return ""
        printed.seek(0)
        last = [line for line in printed.read().splitlines() if line.strip()][-SHOWN:]
    return f"it ended with {next(filter(None, codes))}:\n" + "\n".join(last)


def _ends(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    """How the processes end; when one fails, the others get a moment to do the same."""
    while all(each.poll() in (None, 0) for each in processes) and any(each.poll() is None for each in processes):
        time.sleep(0.02)
    for process in processes:
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return [each.returncode for each in processes]
