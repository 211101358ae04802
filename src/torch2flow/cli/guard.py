"""The one guard around every command: whatever is raised, and wherever, ends with a sentence and an exit code.

This file imports nothing but the standard library and our errors: it is there when anything else is missing.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from torch2flow import errors
from torch2flow.cli.streams import flush_all, guarded_stream, open_missing_descriptors
from torch2flow.errors import DefectError, FormatError, InstallationError, OutputError, Torch2FlowError

INTERRUPTED = 130
REPORT = "https://github.com/torch2flow/torch2flow/issues"


def guarded(work: Callable[[], int], debug: Callable[[], bool]) -> int:
    """Does the work of a command with streams that can't fail.

    Args:
        work: returns the exit code.
        debug: whether the traceback of a defect is to be shown.

    Returns:
        The exit code. What could not be printed makes 5 of 0.
    """
    open_missing_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, out = guarded_stream(sys.stdout)
    sys.stderr, _ = guarded_stream(sys.stderr)
    try:
        code = _run(work, debug)
        sys.stdout.flush()
        if out.failure is not None:
            why = out.failure.strerror or out.failure
            tell(OutputError(f"What there was to say could not be printed: {why}.", where="standard output"))
            code = code or OutputError.exit_code
        return code
    finally:
        flush_all()
        sys.stdout, sys.stderr = before


def _run(work: Callable[[], int], debug: Callable[[], bool]) -> int:
    try:
        return work()
    except KeyboardInterrupt:
        _write(_translated("interrupted; a folder goes on with --resume"))
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        told = in_our_words(error)
        if debug() and not isinstance(error, Torch2FlowError):
            traceback.print_exception(type(error), error, error.__traceback__)
        tell(told)
        return told.exit_code


def in_our_words(error: BaseException) -> Torch2FlowError:
    """What was raised as an error of ours: what the system refuses, what is missing, or a defect."""
    if isinstance(error, Torch2FlowError):
        return error
    if isinstance(error, MemoryError):
        return FormatError("There is not enough memory for this.")
    if isinstance(error, ImportError):
        return InstallationError(
            f"A package that torch2flow needs does not import: {error}.",
            remedy=f"install torch2flow anew: {sys.executable} -m pip install --force-reinstall torch2flow",
        )
    if isinstance(error, OSError):
        return _refused_by_the_system(error)
    frame = next(iter(traceback.extract_tb(error.__traceback__)[-1:]), None)
    where = f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}" if frame else ""
    said = " ".join(str(error).split())[:300]
    return DefectError(
        f"This is a defect of torch2flow: {type(error).__name__}{': ' + said if said else ''}",
        where=where,
        remedy=f"please report it with the command and, if you can, the file: {REPORT};"
        " `torch2flow --debug COMMAND ...` shows more",
    )


def _refused_by_the_system(error: OSError) -> Torch2FlowError:
    try:
        Path.cwd()
    except OSError:
        return errors.UsageError("The current folder is gone.", remedy="change into one that exists")
    name = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or "")
    return OutputError(f"The system refuses: {error.strerror or error}.", where=name)


def tell(error: Torch2FlowError) -> None:
    """Writes an error to standard error."""
    _write(error.text(_translated))


def _translated(text: str) -> str:
    try:
        from torch2flow.cli.language import translated
    except ImportError:  # of click, say: this error is what the user must read
        return text
    return translated(text)


def _write(text: str) -> None:
    # Paths and names come from files: what a terminal would obey is spelled out.
    shown = "".join(c if c == "\n" or c.isprintable() else ascii(c)[1:-1] for c in text)
    sys.stderr.flush()
    sys.stderr.buffer.write(f"torch2flow: {shown}\n".encode("utf-8", "backslashreplace"))
    sys.stderr.flush()
