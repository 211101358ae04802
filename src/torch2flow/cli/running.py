"""The process that `torch2flow run` becomes: a PyTorch program on OneFlow, as `python train.py` would run it.

It is a fresh one: standard streams, signals, threads and the end are Python's own.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import spawn
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from torch2flow import errors
from torch2flow.cli.guard import tell
from torch2flow.errors import Torch2FlowError, UnsupportedError, UsageError
from torch2flow.port.running.import_hook import PortingFinder, PortingLoader
from torch2flow.port.running.program import VARIABLE, RunRequest, fill_main, main_file, prepare


def main() -> None:
    """Runs the program that the first argument describes, with all others."""
    request = RunRequest(**json.loads(sys.argv[1]))
    try:
        finder = prepare(request)
        _port_in_children(sys.argv[1])
        with_frames_of_its_own(request, lambda: run(request, finder, sys.argv[2:]))
    except Torch2FlowError as error:
        _say(error)
        sys.exit(error.exit_code)


def _port_in_children(described: str) -> None:
    """Has the processes that `multiprocessing` starts anew (`spawn`, `forkserver`) port what they import, too."""
    os.environ[VARIABLE] = described
    ask = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = ask(name)
        data.pop("init_main_from_path", None)
        return {**data, "init_main_from_name": "torch2flow.port.running.child"}

    spawn.get_preparation_data = get_preparation_data


def run(request: RunRequest, finder: PortingFinder, arguments: Sequence[str]) -> None:
    """Runs the program as `__main__`, which gets these arguments."""
    name, file = main_file(request, finder.porter)
    sys.argv[:] = [file if request.as_module else request.name, *arguments]
    module = sys.modules["__main__"] = sys.modules["__mp_main__"] = ModuleType("__main__")
    fill_main(module.__dict__, name, file, finder)


def with_frames_of_its_own(request: RunRequest, work: Callable[[], None]) -> None:
    """Does the work of a program. What it raises is shown from the program's own first frame on."""
    try:
        work()
    except (SystemExit, Torch2FlowError):
        raise
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        explain(error, request)
        # Python ends as for any error that nobody took: it has been shown, so nothing is shown any more.
        sys.excepthook = lambda *shown: None
        raise


def _is_ours(file: str) -> bool:
    return "importlib" in file or file.startswith(str(Path(errors.__file__).parent))


def explain(error: BaseException, request: RunRequest) -> None:
    """Says what an error means that comes of running on OneFlow."""
    frame = next(reversed(traceback.extract_tb(error.__traceback__)), None)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "torch":
        package = _package_of(error.__traceback__)
        where = f"{frame.filename}, line {frame.lineno}" if frame else ""
        if package:
            said = (
                f"{package} imports PyTorch ({where}), and is not among the packages that are ported on their way in."
                f" Add it: torch2flow run --with {package} {request.name}"
            )
        else:
            said = (
                f"torch is asked for by its name as text, or in code that is run and not imported ({where}), which is"
                " not ported. Write `import torch` in a module that is imported."
            )
        _say(UsageError(said))
    elif type(error).__name__ == "NotInOneFlow":
        flag = "-m " if request.as_module else ""
        _say(
            UnsupportedError(
                "OneFlow can't do this. What else it can't do of this program is listed by:"
                f" torch2flow run --check {flag}{request.name}"
            )
        )


def _say(error: Torch2FlowError) -> None:
    if sys.__stderr__ is not None:
        sys.stderr = sys.__stderr__  # the program may have put something else there
        tell(error)


def _package_of(trace: TracebackType | None) -> str:
    """The package whose code raised; "" where that was ported."""
    frames = []
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    outer = next((each for each in reversed(frames) if "importlib" not in each.f_code.co_filename), None)
    if outer is None or isinstance(outer.f_globals.get("__loader__"), PortingLoader):
        return ""
    is_imported = outer.f_globals.get("__spec__") is not None
    return str(outer.f_globals.get("__name__", "")).partition(".")[0] if is_imported else ""
