"""Faults, kills and races at every file operation of a conversion: `python writing_faults.py SECONDS SEED`.

Each case is a fork that converts a small checkpoint while a hook watches its file operations. At the Nth of them the
hook raises an error number, kills the process, or lets something appear under the output's name. Afterwards the
folder is looked at: is what stands under the name whole, does its manifest fit, is what is not ours still there, does
the next run end well? With SECONDS of 0 every case is run, else as many as there is time for, in an order drawn by
SEED. Prints the counts as JSON, and each case that failed.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch2flow.checking import check
from torch2flow.checkpoints.writing import locking, renaming
from torch2flow.conversion import FORMATS, convert
from torch2flow.errors import FormatError, OutputError, Torch2FlowError

MUTATING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate", "os.symlink"}
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EROFS)
SUFFIXES = {"folder": "", "snapshot": "", "dcp": "", "file": ".bin", "pth": ".pth", "safetensors": ".safetensors"}
MEETS = ("file", "folder", "link", "conversion")
"""What appears under the output's name, or its manifest's, in the middle of a run."""

LACKS = ("", "exchange", "renameat2", "renameat2 and links", "locks")
"""What a file system may lack."""

PAST, PAST_CODE = "past", 77


class Watch:
    """Counts the file operations of this process below a folder, and acts at one of them."""

    def __init__(self, below: Path, at: int, act: Callable[[], None], again: bool) -> None:
        self.below, self.at, self.act, self.again = str(below), at, act, again
        self.count, self.acting = 0, False
        sys.addaudithook(self._hook)
        for module, name in ((os, "write"), (os, "copy_file_range"), (os, "sendfile"), (locking.fcntl, "flock")):
            setattr(module, name, self._counted(getattr(module, name)))
        renaming._renameat2 = self._renameat2(renaming._renameat2)  # type: ignore[assignment]

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if (event in MUTATING or opened) and isinstance(arguments[0], bytes | str | os.PathLike):
            path = os.fsdecode(arguments[0])
            if path[:1] != "/" or path.startswith(self.below):  # what is relative lies in an output's folder
                self._step()

    def _counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self._step()
            return original(*arguments, **keywords)

        return call

    def _renameat2(self, original: Callable[..., int]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            try:
                self._step()
            except OSError as error:
                return error.errno or errno.EIO
            return original(*arguments)

        return call

    def _step(self) -> None:
        if self.acting:
            return
        self.count += 1
        if self.count == self.at or (self.again and self.count > self.at):
            self.acting = True
            try:
                self.act()
            finally:
                self.acting = False


def source(path: Path, value: int) -> None:
    """A safetensors file of three tensors, one of a dtype that OneFlow lacks and one that is empty."""
    rows = {"a.weight": ("F32", [5, 3], 4), "b": ("I16", [7], 2), "empty": ("F32", [0], 4)}
    header, data = {}, b""
    for name, (dtype, shape, size) in rows.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        raw = struct.pack("<i", value) * count if size == 4 else struct.pack("<h", value) * count
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


class Case:
    """One case: a format, whether an output is replaced, what the file system lacks, and what happens when."""

    def __init__(self, format_: str, old: bool, lacks: str, kind: str, detail: Any, at: int) -> None:
        self.format, self.old, self.lacks, self.kind, self.detail, self.at = format_, old, lacks, kind, detail, at
        self.out = self.beside = Path()
        self.before: dict[str, tuple[int, int]] = {}

    def __repr__(self) -> str:
        place = f"{self.format}, {'replacing' if self.old else 'new'}{', without ' + self.lacks if self.lacks else ''}"
        return f"{place}: {self.kind} {self.detail} at operation {self.at}"

    def run(self, room: Path) -> str:
        """Returns what is wrong, or "", or PAST where a run has no such operation."""
        folder = room / "work"
        folder.mkdir()
        try:
            self.out = folder / "deep" / f"out{SUFFIXES[self.format]}"
            self.beside = self.out.with_name(f"{self.out.name}.manifest.json")
            if self.old or self.kind == "race":
                self.out.parent.mkdir()
            if self.old:
                convert(room / "old", self.out, format=self.format)
            self.before = listing(folder)
            code = forked(lambda: self._attacked(room, folder))
            if code == PAST_CODE:
                return PAST
            if code not in (0, OutputError.exit_code, -signal.SIGKILL):
                return f"it ended with {code}"
            return self._after_race(room, code) if self.kind == "race" else self._after(room, folder, code)
        finally:
            shutil.rmtree(folder)
            if os.path.lexists(room / "taken"):
                remove(room / "taken")

    # -- in the fork ---------------------------------------------------------------------------------------------------

    def _attacked(self, room: Path, folder: Path) -> int:
        self._take_away()
        watch = Watch(folder, self.at, lambda: self._act(room), again=self.kind == "fault" and self.detail[1])
        try:
            convert(room / "new", self.out, format=self.format, overwrite=self.old)
        except Torch2FlowError as error:
            return error.exit_code
        return 0 if watch.count >= self.at else PAST_CODE

    def _again(self, room: Path, resume: bool) -> int:
        self._take_away()
        try:
            convert(room / "new", self.out, format=self.format, overwrite=True, resume=resume)
        except Torch2FlowError as error:
            print(f"{self!r}: {error}", file=sys.stderr)
            return error.exit_code
        return 0

    def _act(self, room: Path) -> None:
        if self.kind == "fault":
            raise OSError(self.detail[0], os.strerror(self.detail[0]))
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        where, what = self.detail
        target = self.out if where == "output" else self.beside
        if os.path.lexists(target):
            os.rename(target, room / "taken")
        if what == "file":
            target.write_text("thesis")
        elif what == "link":
            target.symlink_to(room / "thesis")
        elif what == "folder":
            target.mkdir()
            (target / "thesis").write_text("thesis")
        else:
            shutil.copytree(room / "other", target)

    def _take_away(self) -> None:
        """Plays a file system that lacks something."""
        original = renaming._renameat2
        if self.lacks == "exchange":
            renaming._renameat2 = lambda s, t, f: errno.EINVAL if f == renaming.RENAME_EXCHANGE else original(s, t, f)
        elif self.lacks in ("renameat2", "renameat2 and links"):
            renaming._renameat2 = lambda s, t, f: errno.ENOSYS
        elif self.lacks == "locks":
            locking.fcntl.flock = refuse
        if self.lacks == "renameat2 and links":
            os.link = refuse

    # -- what is left --------------------------------------------------------------------------------------------------

    def _after(self, room: Path, folder: Path, code: int) -> str:
        whole = self._whole(room, begun=code < 0 or bool(self.detail and self.detail[1]))
        if whole:
            return whole
        if code == 0 and not self._is(room, "new"):
            return "it ended with 0, and its output is not there"
        if code > 0 and not self.detail[1]:  # where nothing can be deleted any more, something stays
            now = listing(folder)
            if now != self.before:
                return f"a failed run left {sorted(set(now) ^ set(self.before)) or 'other files'}"
        for resume in (True, False):
            code = forked(lambda: self._again(room, resume))  # noqa: B023 - it is called at once
            left = {path.name for path in self.out.parent.iterdir()} - {self.out.name, self.beside.name}
            if code or left or not self._is(room, "new"):
                return f"the next run ended with {code} and left {left}"
        return ""

    def _whole(self, room: Path, begun: bool) -> str:
        """Whether what has the name is whole, with a manifest that fits or none."""
        if not os.path.lexists(self.out):
            between = begun and self.lacks not in ("", "locks")  # the next run puts it back
            return "" if not self.old or between else "the old output is gone"
        try:
            check(self.out)
        except FormatError as error:
            return f"check: {error}"
        return "" if self._is(room, "new") or (self.old and self._is(room, "old")) else "it is neither old nor new"

    def _is(self, room: Path, which: str) -> bool:
        try:
            return not check(self.out).differences and not check(self.out, room / which).differences
        except FormatError:
            return False

    def _after_race(self, room: Path, code: int) -> str:
        where, what = self.detail
        target = self.out if where == "output" else self.beside
        if what == "conversion":  # an output of ours may be replaced by a run that began after it was there
            kept = self._is(room, "old") or (self.old and code == 0)
        elif what == "link":
            kept = target.is_symlink() and (room / "thesis").read_text() == "thesis"
        else:
            file = target / "thesis" if what == "folder" else target
            kept = file.is_file() and file.read_text() == "thesis"
        return "" if kept else f"what appeared is gone; it ended with {code}"


def forked(work: Callable[[], int]) -> int:
    """Runs something in a fork and returns its exit code; that of a signal is negative, that of a traceback is 99."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException:
            traceback.print_exc()
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def refuse(*arguments: Any, **keywords: Any) -> None:
    """What a file system does that lacks something."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def remove(path: Path) -> None:
    """Removes whatever it is."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder with a checksum of its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, zlib.crc32(data))
    return found


def rows() -> Iterator[tuple[Any, ...]]:
    """All cases but for the operation at which it happens."""
    for format_, old, lacks in itertools.product(SUFFIXES, (False, True), LACKS):
        yield format_, old, lacks, "kill", ()
        for number, lasting in itertools.product(ERRORS if not lacks else ERRORS[:1], (False, True)):
            yield format_, old, lacks, "fault", (number, lasting)
        if lacks != "renameat2 and links":  # there the system gives no way to be sure
            for what in MEETS:
                yield format_, old, lacks, "race", ("output", what)
            for what in MEETS[:3] if not FORMATS[format_].holds_manifest else ():
                yield format_, old, lacks, "race", ("manifest", what)


def chosen(seconds: float, seed: int) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The cases to run; what is sent back says whether a run had no such operation."""
    if not seconds:
        for row in rows():
            for at in itertools.count(1):
                if (yield row, at):
                    break
        return
    end, rng, lengths = time.monotonic() + seconds, random.Random(seed), dict.fromkeys(rows(), 80)
    while time.monotonic() < end:
        row = rng.choice(list(lengths))
        at = rng.randint(1, lengths[row])
        if (yield row, at):
            lengths[row] = max(1, at - 1)


def main(seconds: float, seed: int) -> int:
    """Runs cases and prints what became of them."""
    counts: dict[str, int] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="torch2flow-faults-") as name:
        room = Path(name)
        for number, each in enumerate(("old", "new")):
            source(room / each, 11 + number)
        (room / "thesis").write_text("thesis")
        convert(room / "old", room / "other", format="folder")
        todo = chosen(seconds, seed)
        row, at = next(todo)
        while True:
            case = Case(*row, at)
            found = case.run(room)
            if found != PAST:
                counts[case.kind] = counts.get(case.kind, 0) + 1
            if found and found != PAST:
                failures.append(f"{case!r}: {found}")
            try:
                row, at = todo.send(found == PAST)
            except StopIteration:
                break
    print(json.dumps({**counts, "failed": len(failures), "failures": failures[:40]}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
