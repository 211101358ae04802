"""How every Python that we start is started: what lies in the current folder is never imported.

`python -m` and `python -c` look into the current folder before anything else. A `json.py` in a repository that someone
downloaded would be run by a command that only compares. Each child of ours begins in one of the ways below, and
a test looks for others.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from torch2flow import errors
from torch2flow.errors import UsageError
from torch2flow.guards import boot

_AS_HERE = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
"""


def same_python(code: str, *arguments: str) -> list[str]:
    """The command that runs a text in this interpreter, isolated (`-I`), with this process's own path for imports.

    So a child finds what this process finds, also by PYTHONPATH and in the user's own packages, but for what lies in
    the current folder.
    """
    here = [entry for entry in sys.path if entry]
    return [sys.executable, "-I", "-c", _AS_HERE + code, json.dumps(here), *arguments]


def other_python(python: str | os.PathLike[str], module: str) -> list[str]:
    """The command that runs `main()` of a module of ours in another interpreter, as its user has set it up.

    It may be older than `-P`, and `-I` would take PYTHONPATH from it, by which its user's own model may be found. With
    `-c`, Python 3.13 imports `linecache` before the first line of the text, from the current folder: so it is a file.
    """
    return [str(python), boot.__file__, str(Path(errors.__file__).parent), module]


def not_started(python: str | os.PathLike[str], error: OSError) -> UsageError:
    """What is said of another interpreter that the system does not start."""
    return UsageError(
        f"This interpreter can't be started: {error.strerror}.",
        where=str(python),
        remedy="--python PATH of a Python that has PyTorch",
    )


def own_module(module: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """The command that runs `main()` of a module of ours in this interpreter, as its user has set it up."""
    return [sys.executable, *options, boot.__file__, str(Path(errors.__file__).parent), module, *arguments]


def bare_python(python: str, code: str) -> list[str]:
    """The command that runs a text, which needs the standard library only, in another interpreter."""
    return [python, "-I", "-c", code]


def script_python(file: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """The command that runs a file of ours in this interpreter: its folder comes first in the path, not the current."""
    return [sys.executable, *options, file, *arguments]
