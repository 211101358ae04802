"""Imports OneFlow: finds its libraries, keeps it quiet, and says how to mend it when it does not import.

    flow = import_oneflow()
    flow.load("out")

Every use of OneFlow in this project goes through here.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

from torch2flow.runtime import import_causes, shared_libraries

# What OneFlow 0.9.0 writes to standard error on import: extended regular expressions for whole lines.
# The first is written by a static initializer and has no switch; the second says only that there is no usable
# GPU, and appears where the user's own GLOG_minloglevel lets it.
NOISE = (
    r"libibverbs not available, ibv_fork_init skipped",
    r"W[0-9]{8} [0-9:.]+ +[0-9]+ cuda_device_descriptor_class\.cpp:[0-9]+\] "
    r"CUDA driver version is insufficient for CUDA runtime version",
)

_lock = threading.Lock()


def import_oneflow() -> ModuleType:
    """Returns the module `oneflow`; no LD_LIBRARY_PATH is needed and nothing is printed.

    Raises:
        InstallationError: OneFlow is missing or does not import; the error says why and how to mend it.
    """
    with _lock:
        loaded = sys.modules.get("oneflow")
        # While another thread imports it by itself the module is there but not complete.
        if loaded is not None and hasattr(loaded, "__version__"):
            return loaded
        with quiet_stderr():
            return load_oneflow()


def load_oneflow() -> ModuleType:
    """Like `import_oneflow`, but lets all output through: for a process whose standard error is read anyway."""
    # glog reads this once, when its library loads: 2 leaves errors, 0 shows everything.
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        return _import_complete()
    except Exception as error:
        raise import_causes.explain(error) from error


def import_flowvision() -> ModuleType:
    """Returns the module `flowvision`, OneFlow's model zoo.

    Raises:
        InstallationError: it or OneFlow is missing or does not import.
    """
    import_oneflow()
    try:
        with quiet_stderr():
            return importlib.import_module("flowvision")
    except Exception as error:
        raise import_causes.explain_flowvision(error) from error


def _import_complete() -> ModuleType:
    try:
        module = importlib.import_module("oneflow")
    except ImportError as error:
        # A second attempt in one process works: the first failed before it loaded anything.
        if not import_causes.ImportEvidence(error).missing_library or not shared_libraries.preload():
            raise
        module = importlib.import_module("oneflow")
    if not hasattr(module, "__version__"):
        # A folder named oneflow on sys.path imports as an empty namespace package.
        del sys.modules["oneflow"]
        raise ImportError(f"{list(module.__path__)} holds no OneFlow")
    return module


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops the lines of `NOISE` from file descriptor 2 and lets every other line through at once.

    OneFlow's libraries write past `sys.stderr`, so the descriptor itself is led through `grep`: a process of
    its own still passes on the last words of an import that aborts this one, where a buffer in here would be
    lost with it. Without grep, or with standard error closed, nothing is dropped.
    """
    try:
        terminal = os.dup(2)
    except OSError:
        yield
        return
    try:
        pattern = "^(" + "|".join(NOISE) + ")$"
        command = ["grep", "-a", "-v", "-E", "--line-buffered", pattern]
        sieve = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=terminal, stderr=subprocess.DEVNULL)
    except OSError:
        os.close(terminal)
        yield
        return
    assert sieve.stdin is not None
    _flush()
    os.dup2(sieve.stdin.fileno(), 2)
    sieve.stdin.close()
    try:
        yield
    finally:
        _flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        # A process that the import left behind would hold the pipe open: grep then goes on without us.
        with contextlib.suppress(subprocess.TimeoutExpired):
            sieve.wait(timeout=1)


def _flush() -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
