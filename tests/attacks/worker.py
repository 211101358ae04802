"""Opens hostile files in forks of itself: `python worker.py`, one job a line of JSON on stdin, one answer a line.

A fork after the imports costs milliseconds where a fresh interpreter costs a quarter of a second; a process of
its own keeps what the tests imported (OneFlow, PyTorch) out of the forks' limits. Each fork has a limit on
address space, processor time and wall time, and an audit hook that ends it the moment anything is executed.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch2flow.checkpoints.opening import open_checkpoint
from torch2flow.checkpoints.pickles import write_pickle
from torch2flow.checkpoints.pytorch import Checkpoint, CompositeTensor, TensorRef
from torch2flow.errors import Torch2FlowError

MEMORY = 1 << 30
"""Address space of a fork. NumPy and the interpreter take some 150 MiB of it."""

READ = 64 << 20
"""Bytes of tensors that are read: a view expanded to 2**60 elements is sound, and whoever writes it must look."""

EXECUTION = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.forkpty",
    "os.kill",
    "subprocess.Popen",
    "socket.connect",
    "socket.getaddrinfo",
    "urllib.Request",
    "pickle.find_class",
    "builtins.input",
    "pty.spawn",
    "webbrowser.open",
    "ctypes.dlopen",
    "code.__new__",
    "function.__new__",
)
"""Audit events (docs.python.org/3/library/audit_events.html) that reading a checkpoint never raises."""

WRITING = ("os.fork", "os.remove", "os.rmdir", "os.rename", "shutil.rmtree")
"""Nor these; converting does."""

EXECUTED = 99

ON_DEMAND = tuple(
    f"torch2flow.{name}"
    for name in (
        "cli.display",
        "conversion",
        "checkpoints.pytorch.dcp",
        "checkpoints.pytorch.pt2",
        "checkpoints.pytorch.sharded",
    )
)


def main() -> None:
    """Answers jobs until stdin ends."""
    for name in ("ctypes", "locale", "shlex", "subprocess", "numpy", *ON_DEMAND):  # once here, and not by every fork
        importlib.import_module(name)
    from fuzz import fuzz

    import torch2flow.checkpoints.pytorch.dcp
    import torch2flow.checkpoints.pytorch.pt2
    import torch2flow.checkpoints.pytorch.sharded  # noqa: F401 - opened on demand otherwise, by every fork again

    tasks = {"drive": drive, "sweep": sweep, "fuzz": fuzz, "cli": cli}
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            run(tasks[job["task"]], job)
        _, status, usage = os.wait4(child, 0)
        answer = {"status": os.waitstatus_to_exitcode(status), "peak": usage.ru_maxrss, "cpu": usage.ru_utime}
        print(json.dumps(answer), flush=True)


def run(task: Any, job: dict[str, Any]) -> None:
    """A fork's life: limits, the task, its answer in the file `report`."""
    report, code = Path(job["report"]), 0
    output = os.open(report.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    errors = os.open(report.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    null = os.open(os.devnull, os.O_RDONLY)
    result = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor, target in ((null, 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, target)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seconds = job.get("seconds", 20)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.setitimer(signal.ITIMER_REAL, seconds)  # ends the fork, whatever it is doing
    sys.path.insert(0, str(report.parent))
    if job.get("nobody") and os.getuid() == 0:
        os.setuid(65534)
    if job["task"] != "cli":
        may_write = job["task"] == "fuzz"
        sys.addaudithook(lambda event, args: forbid_execution(event, args, may_write))
    try:
        answer = task(job)
    except Torch2FlowError as error:
        answer = {"refused": str(error), "exit_code": error.exit_code}
    except BaseException as error:
        answer = {"leaked": f"{type(error).__name__}: {str(error)[:300]}", "trace": last_frames(error)}
        code = 1
    os.write(result, json.dumps(answer).encode())
    os._exit(code)


def last_frames(error: BaseException) -> str:
    """Where an exception came from, without the thousand frames of a RecursionError."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}: {frame.line}" for frame in frames)


def forbid_execution(event: str, args: tuple[Any, ...], may_write: bool) -> None:
    """Ends the fork when anything is executed that reading has no use for."""
    itself = event == "ctypes.dlopen" and args == (None,) and may_write  # the C library that is there: renameat2
    if (event in EXECUTION and not itself) or (event in WRITING and not may_write):
        os.write(2, f"{event} {args!r}"[:500].encode("utf-8", "replace"))
        os._exit(EXECUTED)


def drive(job: dict[str, Any]) -> dict[str, Any]:
    """Opens a file and uses all of it: what a converter would do, less the writing."""
    path = Path(job["path"])
    checkpoint = open_checkpoint(path)
    read = sum(part.nbytes for part in chunks_of(checkpoint))
    described = (repr(checkpoint), checkpoint.aliases, checkpoint.overlaps, checkpoint.candidates, checkpoint.nbytes)
    write_pickle(checkpoint.tree, replace=lambda value: repr(type(value)))
    checkpoint.check_unchanged()
    return {
        "opened": described[0],
        "names": [ascii(name)[:80] for name in checkpoint][:100],
        "opaque": list(checkpoint.container.opaque)[:100],
        "read": read,
    }


def chunks_of(checkpoint: Checkpoint) -> Iterator[Any]:
    """Every tensor's bytes, the bounded way and, where it is small, also as an array."""
    left = READ
    for tensor in checkpoint.values():
        parts = list(tensor.parts.values()) if isinstance(tensor, CompositeTensor) else [tensor]
        for part in parts:
            assert isinstance(part, TensorRef)
            for chunk in part.chunks():
                left -= chunk.nbytes + 1
                yield chunk
                if left < 0:
                    return
            assert part.numpy().shape == part.shape


def sweep(job: dict[str, Any]) -> dict[str, Any]:
    """Cuts one file at every length of a list; each piece must be refused."""
    target, whole = Path(job["target"]), Path(job["target"]).read_bytes()
    accepted = []
    for length in job["lengths"]:
        target.write_bytes(whole[:length])
        signal.setitimer(signal.ITIMER_REAL, 10)
        try:
            drive(job)
            accepted.append(length)
        except Torch2FlowError:
            pass
        except BaseException as error:
            raise AssertionError(f"cut at byte {length}: {error!r}") from error
    target.write_bytes(whole)
    return {"accepted": accepted}


def cli(job: dict[str, Any]) -> dict[str, Any]:
    """The command line, in this process."""
    from torch2flow.cli import main as command

    try:
        command(job["args"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return {"exit_code": code}


if __name__ == "__main__":
    main()
