"""A job of OneFlow's on this machine: rank 0 first, the others when it listens, an end for all at the first failure.

What OneFlow's own launcher (`oneflow.distributed.launch`, 0.9.0) leaves open: a rank that comes before rank 0 listens
sleeps for ten seconds; a proxy in the environment takes the ranks' calls to each other; a rank that raises leaves all
waiting; and an interrupted launcher leaves its ranks behind. The processes are OneFlow's as ever: MASTER_ADDR,
MASTER_PORT, WORLD_SIZE, RANK and LOCAL_RANK say who they are.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from torch2flow.errors import OutputError, UsageError
from torch2flow.guards.child_python import script_python
from torch2flow.guards.regular_files import is_regular
from torch2flow.runtime.importing import NOISE
from torch2flow.scale.launching import rank as rank_script

PORT = 29500
"""The port that all machines use if none is given: OneFlow's own default."""

GRACE = 3.0
"""Seconds in which ranks end by themselves once one has failed, and once more after they were told to."""

KEPT_LINES = 40
"""Last lines of a rank's standard error that are shown again if it fails."""

POLL = 0.05

_NOISE = re.compile("|".join((*NOISE, r"E[0-9]{4} .* (uri_parser|http_proxy)\.cc:.*")))
"""Lines that OneFlow and gRPC print at every start, and that are left out."""


@dataclass(slots=True)
class Rank:
    """One process of the job."""

    number: int
    process: subprocess.Popen[str]
    readers: list[threading.Thread]
    last: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    ended: float = 0.0

    @property
    def code(self) -> int | None:
        """The exit code as in a shell: 128 plus the signal that ended it. None while the process runs."""
        code = self.process.poll()
        return 128 - code if code is not None and code < 0 else code


class Job:
    """A job: what to run, and on how many ranks.

    Args:
        script: a Python file, or a module.
        arguments: for it.
        nproc_per_node, nnodes, node_rank: ranks on this machine, machines, and which of them this is.
        master_addr, master_port: where rank 0 is.
        as_module: `script` is a module.
        logs: a folder for a file of each rank.
        timeout: seconds until the others start although rank 0 does not listen: a script may never import OneFlow.
        write: gets every line, as (line, is it standard error).

    Raises:
        UsageError: the numbers don't fit together, or there is no such script.
    """

    def __init__(
        self,
        script: str,
        arguments: Iterable[str] = (),
        *,
        nproc_per_node: int = 1,
        nnodes: int = 1,
        node_rank: int = 0,
        master_addr: str = "127.0.0.1",
        master_port: int | None = None,
        as_module: bool = False,
        logs: Path | None = None,
        timeout: float = 60,
        write: Callable[[str, bool], None] | None = None,
    ) -> None:
        if node_rank >= nnodes:
            raise UsageError(f"--node-rank {node_rank}: with {nnodes} machines they are 0 to {nnodes - 1}.")
        if not as_module and not os.path.isfile(script):
            raise UsageError("There is no such script.", where=script, remedy="add -m if it is a module")
        how = ("-m",) if as_module else ()
        self.command = script_python(rank_script.__file__, *how, script, *arguments, options=("-u",))
        self.local, self.first, self.world = nproc_per_node, node_rank * nproc_per_node, nnodes * nproc_per_node
        self.address = master_addr
        self.port = master_port or (PORT if nnodes > 1 else _free_port())
        if self.first == 0 and not _is_free(self.port):
            raise UsageError(f"The port {self.port} is in use.", remedy="choose another --master-port")
        self.logs, self.timeout = logs, timeout
        self.write = write or _write
        self.ranks: list[Rank] = []
        self.stopped_by = 0

    def run(self) -> int:
        """Runs it to its end; 0, or the exit code of the rank that failed first."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        if self.logs is not None:
            self.logs.mkdir(parents=True, exist_ok=True)
            for path in map(self._log, range(self.first, self.first + self.local)):
                if path.exists() and not is_regular(path):  # a FIFO would wait for its reader
                    raise OutputError("A log is to be written to what is no file.", where=str(path))
        try:
            if self.first == 0:
                self._start(0)
            self._wait_for_rank_0()
            for local in range(len(self.ranks), self.local):
                if not self._failed() and not self.stopped_by:
                    self._start(local)
            while not self.stopped_by and not self._failed() and self._running():
                time.sleep(POLL)
        finally:
            own = self._end()
            for number, handler in before.items():
                signal.signal(number, handler)
        for each in self.ranks:
            for reader in each.readers:
                reader.join(timeout=GRACE)
        if self.stopped_by:
            return 128 + self.stopped_by
        return self._report(own) if own else 0

    def _log(self, number: int) -> Path:
        assert self.logs is not None
        return self.logs / f"rank_{number}.log"

    def _environment(self, local: int) -> dict[str, str]:
        found = dict(os.environ)
        if any(name in found for name in ("grpc_proxy", "https_proxy", "http_proxy")):
            # gRPC would take the ranks' calls to each other there; what the script itself downloads keeps its proxy.
            found |= {"no_grpc_proxy": f"{self.address},127.0.0.1,localhost"}
            if self.world > self.local:  # the other machines' addresses are not known here
                found["grpc_proxy"] = ""
        found |= {"MASTER_ADDR": self.address, "MASTER_PORT": str(self.port), "WORLD_SIZE": str(self.world)}
        found |= {"RANK": str(self.first + local), "LOCAL_RANK": str(local)}
        if self.local > 1:
            found.setdefault("OMP_NUM_THREADS", "1")
        return found

    def _start(self, local: int) -> None:
        process = subprocess.Popen(
            self.command, env=self._environment(local), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", bufsize=1, start_new_session=True,
        )  # fmt: skip
        rank = Rank(self.first + local, process, [])
        log = open(self._log(rank.number), "a", opener=_no_link) if self.logs is not None else None  # noqa: SIM115
        for stream, is_error in ((process.stdout, False), (process.stderr, True)):
            reader = threading.Thread(target=self._pass_on, args=(rank, stream, is_error, log), daemon=True)
            rank.readers.append(reader)
            reader.start()
        self.ranks.append(rank)

    def _pass_on(self, rank: Rank, stream: IO[str], is_error: bool, log: IO[str] | None) -> None:
        label = f"[{rank.number}] " if self.world > 1 else ""
        for line in stream:
            if is_error and _NOISE.fullmatch(line.rstrip()):
                continue
            if is_error:
                rank.last.append(line)
            if log is not None:
                log.write(line)
                log.flush()
            self.write(label + line, is_error)

    def _wait_for_rank_0(self) -> None:
        if self.world == 1:
            return
        until = time.monotonic() + self.timeout
        while time.monotonic() < until and not self.stopped_by and (self._running() or self.first):
            with socket.socket() as client:
                client.settimeout(1)
                if client.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(POLL)

    def _running(self) -> list[Rank]:
        for each in self.ranks:
            if not each.ended and each.code is not None:
                each.ended = time.monotonic()
        return [each for each in self.ranks if not each.ended]

    def _failed(self) -> list[Rank]:
        self._running()
        return sorted((each for each in self.ranks if each.ended and each.code), key=lambda each: each.ended)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped_by = number

    def _end(self) -> list[Rank]:
        """Ends the processes that still run; returns the ranks that had failed by themselves."""
        self._wait(GRACE if not self.stopped_by else 0)
        failed = self._failed()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for each in self._running():
                _signal(each.process.pid, number)
            self._wait(GRACE)
        for each in self.ranks:  # what they left behind
            _signal(each.process.pid, signal.SIGKILL)
        return failed

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._running() and time.monotonic() < until:
            time.sleep(POLL)

    def _report(self, failed: list[Rank]) -> int:
        """Shows the failure once more, below everything else."""
        # When one is gone, OneFlow aborts the others: that says nothing. Of two that ended since the last look, nobody
        # knows which was first.
        aborted = 128 + signal.SIGABRT
        soon = [each for each in failed if each.ended <= failed[0].ended + POLL]
        first = next((each for each in soon if each.code != aborted), failed[0])
        told = [first, *(each for each in failed if each is not first and each.code != aborted)]
        # Where all ranks voted, those that only heard of a failure say so.
        told = [each for each in told if "this one could." not in "".join(each.last)] or told
        for each in told[:8]:
            self.write(f"\ntorch2flow launch: rank {each.number} failed, {_meaning(each.code or 0)}\n", True)
            for line in each.last if self.world > 1 else ():
                self.write(f"  {line.rstrip()}\n", True)
        return told[0].code or 1


def _meaning(code: int) -> str:
    if code <= 128:
        return f"exit code {code}"
    known = {each.value: each.name for each in signal.Signals}
    name = known.get(code - 128, f"signal {code - 128}")
    why = ": killed, perhaps for want of memory" if name == "SIGKILL" else ""
    return f"by {name}{why}"


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


_lock = threading.Lock()


def _write(line: str, is_error: bool) -> None:
    stream: Any = sys.stderr if is_error else sys.stdout
    with _lock:
        stream.write(line)
        stream.flush()


def _no_link(path: str, flags: int) -> int:
    """Opens a log, but not what a link of its name stands for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
