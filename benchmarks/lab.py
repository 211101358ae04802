"""The folder that measurements happen in: fresh names, room on the disk, a quiet start for each run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHILDREN = Path(__file__).with_name("children")

GB = 10**9


@dataclass
class Lab:
    """Where and how to measure.

    Attributes:
        folder: a new folder; everything made lies in it.
        runs: measured runs of each contender.
        quick: small sizes, to see that all of it works.
    """

    folder: Path
    runs: int
    quick: bool = False
    names: int = 0

    def size(self, nbytes: int) -> int:
        """`nbytes`, or a tenth and at most 0.1 GB where it is to be quick."""
        return min(nbytes // 10, GB // 10) if self.quick else nbytes

    def fresh(self, stem: str) -> Path:
        """A path that was never used."""
        self.names += 1
        return self.folder / f"{stem}-{self.names}"

    def settle(self) -> None:
        """Waits until the disk has all that was written, so that no run pays for the one before."""
        subprocess.run(["sync", "-f", str(self.folder)], check=False)

    def checkpoint(self, nbytes: int, tensors: int, dtype: str = "float32", *, sparse: bool = False) -> Path:
        """A file that real PyTorch wrote: `tensors` matrices, together `nbytes`.

        Args:
            nbytes: bytes of all tensors.
            tensors: how many, of one size.
            dtype: their element type.
            sparse: of zeros, which take no room on the disk.
        """
        path = self.fresh(f"{dtype}-{tensors}").with_suffix(".pth")
        arguments = [str(path), str(nbytes), str(tensors), dtype, "sparse" if sparse else "dense"]
        subprocess.run([sys.executable, str(CHILDREN / "write_checkpoint.py"), *arguments], check=True)
        return path


def child(name: str) -> list[str]:
    """The command that runs one of the programs in `children/`."""
    return [sys.executable, str(CHILDREN / f"{name}.py")]


def torch2flow() -> str:
    """The command that a user types."""
    return str(Path(sys.executable).with_name("torch2flow"))


def read_all(path: Path) -> None:
    """Reads a file or a tree once, so that it lies in the page cache."""
    buffer = bytearray(1 << 20)
    for file in _files(path):
        with open(file, "rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def empty(path: Path) -> None:
    """Cuts the files of an output to nothing."""
    for file in _files(path):
        os.truncate(file, 0)


def _files(path: Path) -> Iterator[str]:
    if path.is_file():
        yield str(path)
    for parent, _, names in os.walk(path):
        yield from (f"{parent}/{name}" for name in names)


@contextmanager
def laboratory(parent: Path | None, runs: int, quick: bool) -> Iterator[Lab]:
    """A lab in a new folder, which is deleted at the very end."""
    folder = Path(tempfile.mkdtemp(prefix="torch2flow-benchmark-", dir=parent))
    try:
        yield Lab(folder, runs, quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """Room on the disk."""
    return shutil.disk_usage(folder).free


def machine(folder: Path) -> str:
    """The machine in a line: what decides the figures, and nothing that names it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"{cores} cores, {memory / 2**30:.0f} GiB of memory, {file_system(folder)}, "
        f"Linux {os.uname().release.split('-')[0]}, Python {python}"
    )


def file_system(folder: Path) -> str:
    """The type of the file system that a folder lies on, from /proc/self/mountinfo."""
    best, kind = "", "unknown"
    here = os.path.realpath(folder) + "/"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].rstrip("/") + "/"
        if here.startswith(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def load_average() -> str:
    """How busy the machine is."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())
