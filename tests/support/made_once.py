"""Keeps what PyTorch made for the tests under `build/`, until the code that makes it changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "build" / "made-once"

LARGE = 16 << 20

CAPTURING = [ROOT / "src" / "torch2flow" / name for name in ("errors.py", "checkpoints", "proof")]
"""The code that a capture or a recording runs, beside PyTorch's own."""


def made_once(name: str, depends: Iterable[Path | str], make: Callable[[Path], None], folder: Path) -> Path:
    """Fills a folder with files that are made anew only when something changed that they depend on.

    Args:
        name: of what is made.
        depends: files, folders with Python files, and texts.
        make: makes the files in a folder.
        folder: the test's own, which gets copies of the files, or links to large ones, which must not be written to.
    """
    stamps = [ROOT / stamp for stamp in (".venv/.stamp", ".venv-torch/.stamp", ".venv-torch/.stamp-models")]
    kept = KEPT / f"{name}-{_digest([*depends, *stamps])}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            for older in [*KEPT.glob(f"{name}-*"), *KEPT.glob(f"partial-{name}-*")]:
                shutil.rmtree(older)
            with tempfile.TemporaryDirectory(dir=KEPT, prefix=f"partial-{name}-") as partial:
                made = Path(partial) / "made"
                made.mkdir()
                make(made)
                made.rename(kept)
    shutil.copytree(kept, folder, copy_function=_link, dirs_exist_ok=True)
    return folder


def _link(source: str, target: str) -> None:
    """A copy; of a large file a link, where both lie on one disk."""
    if Path(source).stat().st_size >= LARGE:
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copy(source, target)


def _digest(depends: Iterable[Path | str]) -> str:
    found = hashlib.sha256()
    for each in depends:
        if isinstance(each, str):
            found.update(each.encode())
            continue
        for path in sorted(each.rglob("*.py")) if each.is_dir() else [each]:
            found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]
