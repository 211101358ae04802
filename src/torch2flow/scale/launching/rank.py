"""One rank's process: `python rank.py [-m] SCRIPT ARGUMENTS...` runs a script and ends where that does.

OneFlow 0.9.0 waits at its exit for all other ranks, also when this one raised: they wait for it in turn, without end.
So an error ends the process at once. This file imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Runs the script of `sys.argv` as `__main__`."""
    _end_with_parent()
    as_module = sys.argv[1] == "-m"
    script = sys.argv[1 + as_module]
    sys.argv = [script, *sys.argv[2 + as_module :]]
    sys.path[0] = str(Path.cwd() if as_module else Path(script).resolve().parent)
    try:
        if as_module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
    except SystemExit as ending:
        if ending.code not in (None, 0):
            if not isinstance(ending.code, int):
                print(ending.code, file=sys.stderr)
            _end(ending.code if isinstance(ending.code, int) else 1)
    except KeyboardInterrupt:
        _end(130)
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__):
            trace = trace.tb_next
        # `<frozen runpy>` from Python 3.12 on
        while trace is not None and "runpy" in trace.tb_frame.f_code.co_filename:
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
        _end(getattr(error, "exit_code", 1))


def _end(code: int) -> None:
    """Ends the process without OneFlow's exit hook, a moment later: ranks that still communicate would abort."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if os.environ.get("WORLD_SIZE", "1") != "1":
        time.sleep(0.5)
    os._exit(code)


def _end_with_parent() -> None:
    """Asks the kernel to end this process when the launcher is gone, however that happened."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
