"""Why there is a pickle machine and a zip reader of our own: the usual ones fail (docs/formats.md)."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import torch2flow
from torch2flow.checkpoints.pickles import read_pickle

Load = Callable[..., "subprocess.CompletedProcess[str]"]

RESTRICTED = """
import collections, io, pickle, sys
class Restricted(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("collections", "namedtuple"):
            return collections.namedtuple
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
try:
    Restricted(open(sys.argv[1], "rb")).load()
except MemoryError:
    sys.exit("MemoryError")
print(getattr(collections.namedtuple, "changed", "as it was"))
"""

DEEP_KEY = b"\x80\x02}" + b")" + b"\x85" * 2_000_000 + b"Ns."
"""A dictionary whose one key is a tuple in a tuple in a tuple."""

BUILD_ON_FUNCTION = b"\x80\x02ccollections\nnamedtuple\n}(X\x07\x00\x00\x00changedX\x0b\x00\x00\x00by the fileub."
"""Names a function and gives it an attribute."""

FAR_MEMO = b"\x80\x02Nr\xff\xff\xff\x3f."
"""None, memoised at index 2**30 - 1."""


@pytest.fixture
def restricted(tmp_path: Path) -> Load:
    """Loads a stream by `pickle.Unpickler` with a `find_class` that allows one harmless function."""

    def load(stream: bytes, *limits: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "stream.pkl"
        file.write_bytes(stream)
        command = [*limits, sys.executable, "-c", RESTRICTED, file]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return load


def test_a_deep_key_ends_a_restricted_unpickler(restricted: Load) -> None:
    assert restricted(DEEP_KEY).returncode == -signal.SIGSEGV
    with pytest.raises(torch2flow.FormatError):
        read_pickle(DEEP_KEY)


@pytest.mark.oneflow  # once is enough: it looks at both environments
def test_a_deep_key_ends_pytorch(tmp_path: Path, oneflow_python: Path, torch_python: Path) -> None:
    file = tmp_path / "deep.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("deep/data.pkl", DEEP_KEY)
        archive.writestr("deep/version", "3\n")
    for python in (oneflow_python, torch_python):
        command = [python, "-c", f"import torch; torch.load({str(file)!r}, weights_only=True)"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGSEGV
    with pytest.raises(torch2flow.FormatError):
        torch2flow.open_checkpoint(file)


def test_a_stream_changes_a_function_that_find_class_allowed(restricted: Load) -> None:
    assert restricted(BUILD_ON_FUNCTION).stdout == "by the file\n"
    with pytest.raises(torch2flow.FormatError):
        read_pickle(BUILD_ON_FUNCTION)


def test_ten_bytes_take_gigabytes(restricted: Load) -> None:
    done = restricted(FAR_MEMO, "prlimit", f"--as={4 << 30}")
    assert done.stderr == "MemoryError\n"
    with pytest.raises(torch2flow.FormatError):
        read_pickle(FAR_MEMO)


def test_zipfile_refuses_what_pytorch_loads(fixtures: Path) -> None:
    file = fixtures / "torch-2.13.0" / "no_crc32.pth"  # PyTorch said what is in it: expected.json
    with zipfile.ZipFile(file) as archive, pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        archive.read("no_crc32/data.pkl")
    assert len(torch2flow.open_checkpoint(file)) > 0


def test_the_streams_are_sound_pickles() -> None:
    assert pickle.loads(DEEP_KEY[:3] + b")" + b"\x85" * 20 + b"Ns.")
