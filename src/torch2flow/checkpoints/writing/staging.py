"""Outputs that appear whole or not at all: written into a work folder beside their names, then renamed in one step.

    .out.torch2flow-partial/lock       held as long as a run writes here
    .out.torch2flow-partial/work       what the work is, in short: with `--resume`, the same work goes on
    .out.torch2flow-partial/0, 1       the outputs: `out`, and what appears with it, such as `out.manifest.json`
    .out.torch2flow-partial/commit     from the first renaming to the last: what stood under the names, and what is to
    .out.torch2flow-partial/0.old      what stood under a name
    .out.torch2flow-partial/0.replaced what stood there and may be deleted

The renaming of the first output decides. A run that is killed before has done nothing, one that is killed later has
done everything: the next run, which finds the file `commit`, takes back the one and ends the other. Nothing is replaced
but what was found at the beginning, and everything else is refused and stays: so says the kernel where it can, and
what was swapped out is looked at before it is deleted.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from torch2flow.checkpoints.writing.kernel_copy import write_file
from torch2flow.checkpoints.writing.locking import Lock
from torch2flow.checkpoints.writing.renaming import (
    Standing,
    beside,
    exchange,
    identity,
    is_folder,
    move,
    same,
    state,
    walk,
)
from torch2flow.errors import FormatError, OutputError
from torch2flow.guards.regular_files import read_whole

WORK, COMMIT = "work", "commit"
_OURS = re.compile(r"lock|owner(\.\d+)?|work|commit(\.new)?|\d(\.old|\.replaced|\.back)?")
_NOTHING = re.compile(r"(?!)")

Entries = Iterator[tuple[str, os.stat_result]]
"""The paths of everything in a folder, relative to it."""


def work_folder(out: Path) -> Path:
    """Where an output is written before it gets its name."""
    return beside(out, ".", ".torch2flow-partial")


@dataclass(frozen=True, slots=True)
class Output:
    """A file or folder to write.

    Attributes:
        path: its final name.
        objection: says why what has that name may not be replaced, or "". It is asked where `overwrite` is given, and
            gets the path, and what is in it where it is a folder.
    """

    path: Path
    objection: Callable[[Path, Entries], str] = lambda path, entries: "it was not written by torch2flow"


@dataclass(slots=True)
class _Commit:
    """What the file `commit` says: of each output its name, which file it will be, and the state of the old one."""

    names: list[str]
    new: list[str]
    old: list[str]


class Parts(Protocol):
    """A pattern, or what matches paths like one."""

    def fullmatch(self, string: str, /) -> object: ...


class Staging:
    """A context in which the outputs are written under `paths`; `commit` gives them their final names.

    Args:
        outputs: the first is the one that counts; all lie in one folder.
        overwrite: existing outputs may be replaced.
        work: what is written from what, in short. An interrupted run of the same work can be gone on with.
        resume: go on with it.
        parts: matches the paths of files that an unfinished folder may hold; other files there are somebody else's.
        sources: device and inode of whatever must not be replaced; asked again before the outputs get their names.

    Attributes:
        paths: where to write. One that is not written does not appear, and its old output goes with the others.
        left: says what could not be deleted after the outputs had got their names.

    Raises:
        OutputError: on entering, where an output exists, can't be written, or another run is writing it.
    """

    def __init__(
        self,
        *outputs: Output,
        overwrite: bool = False,
        work: str = "",
        resume: bool = False,
        parts: Parts = _NOTHING,
        sources: Callable[[], Iterable[tuple[int, int]]] = lambda: (),
    ) -> None:
        self.outputs, self.overwrite, self.resume = outputs, overwrite, resume
        self.work, self.parts, self.sources = work.encode("utf-8", "backslashreplace"), parts, sources
        self.out = outputs[0].path
        self.folder = work_folder(self.out)
        self.paths = [self.folder / str(number) for number in range(len(outputs))]
        self.left = ""
        self._old: list[str] = []
        self._stamps: list[tuple[int, int]] = []
        self._lock = Lock(self.folder)
        self._parents: list[Path] = []
        self._keep = self._done = False

    # -- the beginning -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Staging:
        try:
            self._make_parents()
            self._keep = self._lock.acquire(self.out)
            self._check_sources()
            self._recover()
            self._stamps = [_stamp(output.path) for output in self.outputs]
            self._old = [self._checked(output) for output in self.outputs]
            self._take_over()
            write_file(self.folder / WORK, self.work)
            self._keep = False
        except BaseException as error:
            self._end()
            if isinstance(error, OSError):
                raise output_error(error, self.out) from None
            raise
        return self

    def _make_parents(self) -> None:
        missing = self.out.parent
        while not missing.exists() and missing != missing.parent:
            self._parents.append(missing)
            missing = missing.parent
        self.out.parent.mkdir(parents=True, exist_ok=True)

    def _check_sources(self) -> None:
        check_apart([*(output.path for output in self.outputs), self.folder], self.sources())

    def _checked(self, output: Output) -> str:
        """The state of what has an output's name; "" where nothing has it.

        Raises:
            OutputError: it may not be replaced.
        """
        path = output.path
        if not os.path.lexists(path):
            return ""
        if not self.overwrite:
            raise OutputError("The output exists.", where=str(path), remedy="choose another -o, or add --overwrite")
        found = Standing(path)
        objection = "it is a link" if path.is_symlink() else output.objection(path, found.entries())
        if objection:
            raise OutputError(
                f"The output exists and is not replaced even with --overwrite: {objection}.",
                where=str(path),
                remedy="choose another -o, or move it away yourself",
            )
        return found.text()

    def _recover(self) -> None:
        """Ends, or takes back, the renaming in which an earlier run was killed."""
        if os.path.lexists(self.folder / COMMIT):
            commit = self._read_commit()
            begun = bool(commit.new[0]) and identity(self.out) == commit.new[0]
            if not (begun and self._finished(commit)):
                self._undo(commit)

    def _take_over(self) -> None:
        """Clears away what an earlier run left, unless it is gone on with."""
        for name in os.listdir(self.folder):
            if not _OURS.fullmatch(name):
                raise self._foreign(self.folder / name)
        self._check_parts()
        work = self.folder / WORK
        if not (self.resume and work.is_file() and read_whole(work) == self.work):
            self._clear()

    def _check_parts(self) -> None:
        """Refuses unfinished outputs in which there is what no run wrote: it would be deleted, or come along.

        Raises:
            OutputError: there is.
        """
        for name in sorted(os.listdir(self.folder)):
            unfinished = self.folder / name
            if name.isdigit() and is_folder(unfinished):
                for path, status in walk(unfinished):
                    is_part = stat.S_ISREG(status.st_mode) and self.parts.fullmatch(path)
                    if not is_part and not stat.S_ISDIR(status.st_mode):
                        raise self._foreign(unfinished / path)
            elif unfinished.is_symlink():
                raise self._foreign(unfinished)

    def _foreign(self, path: Path) -> OutputError:
        return OutputError(
            "The folder of an interrupted run holds what torch2flow did not write there. It is left as it is.",
            where=str(path),
            remedy=f"move it away, or delete {self.folder} yourself",
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Gives the outputs their final names.

        Raises:
            OutputError: something else took a name in the meantime, or was changed; everything stays as it is.
        """
        names = [output.path.name for output in self.outputs]
        commit = _Commit(names, [identity(path) for path in self.paths], self._old)
        try:
            self._check_sources()
            if [_stamp(output.path) for output in self.outputs] != self._stamps:
                raise FileExistsError
            self._keep = True  # until everything is there, or is as it was
            try:
                self._write_commit(commit)
                self._publish(commit)
                if not self._finished(commit):
                    raise FileExistsError
            except BaseException:
                try:
                    self._undo(commit)
                except OSError as error:
                    raise OutputError(
                        f"The output can't be written, and what was done can't be taken back: {error.strerror}.",
                        where=str(self.out),
                        remedy=f"run again when the disk can be written: the old output is in {self.folder} and is put"
                        " back by the next run",
                    ) from None
                self._keep = False
                raise
        except FileExistsError:
            self._keep = True
            raise OutputError(
                "Something else took the name of the output while it was written, or the old output was changed."
                " That is left as it is.",
                where=str(self.out),
                remedy=f"the new output is complete in {self.folder}: move away what stands in its place and run"
                " again, for a folder with --resume",
            ) from None
        except OSError as error:
            raise output_error(error, self.out) from None
        self._keep, self._done = False, True

    def _publish(self, commit: _Commit) -> None:
        """Gives the first output its name, and what had it a name in the work folder."""
        for number in range(1, len(commit.names)):
            self._put_aside(commit, number)
        new = self.folder / "0"
        try:
            if commit.old[0] and exchange(new, self.out):
                return
        except FileNotFoundError:
            pass  # the old output was moved away meanwhile
        self._put_aside(commit, 0)
        move(new, self.out)

    def _put_aside(self, commit: _Commit, number: int) -> None:
        if commit.old[number]:
            aside = self.folder / f"{number}.old"
            with suppress(FileNotFoundError):  # it was moved away meanwhile
                os.rename(self.out.with_name(commit.names[number]), aside)
                if state(aside) != commit.old[number]:
                    raise FileExistsError

    def _finished(self, commit: _Commit) -> bool:
        """Ends a commit whose first output has its name; False where another name is taken, or an old one changed."""
        for number, name in enumerate(commit.names):
            new, final, aside = self.folder / str(number), self.out.with_name(name), self.folder / f"{number}.old"
            if same(new, final):
                new.unlink()  # it was linked
            elif number == 0 and os.path.lexists(new):
                aside = new  # it was swapped
            elif os.path.lexists(new):
                if os.path.lexists(final):
                    return False
                move(new, final)
            if os.path.lexists(aside):
                if state(aside) != commit.old[number]:
                    return False
                os.rename(aside, self.folder / f"{number}.replaced")
        for name in (WORK, COMMIT):
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()
        return True

    def _undo(self, commit: _Commit) -> None:
        """Puts everything back as it was before a commit.

        Raises:
            OutputError: something else has the name of an old output now.
        """
        for number, name in reversed(list(enumerate(commit.names))):
            new, final, aside = self.folder / str(number), self.out.with_name(name), self.folder / f"{number}.old"
            replaced, back = self.folder / f"{number}.replaced", self.folder / f"{number}.back"
            if os.path.lexists(replaced):
                os.rename(replaced, aside)
            if commit.new[number] and identity(final) == commit.new[number]:
                if same(new, final):
                    final.unlink()  # it was linked
                elif not os.path.lexists(new):
                    move(final, new)
                elif not exchange(new, final):
                    os.rename(final, back)
            if os.path.lexists(back):
                if os.path.lexists(new):
                    os.rename(new, aside)
                os.rename(back, new)
            if os.path.lexists(aside):
                try:
                    move(aside, final)
                except FileExistsError:
                    raise OutputError(
                        "Something took the name of the old output while that was being replaced. Both are kept.",
                        where=f"{final}; the old output is {aside}",
                        remedy="move one of them away, and run again: that puts the old output back",
                    ) from None
        with suppress(FileNotFoundError):
            (self.folder / COMMIT).unlink()

    def _write_commit(self, commit: _Commit) -> None:
        text = json.dumps({"names": commit.names, "new": commit.new, "old": commit.old})
        write_file(self.folder / f"{COMMIT}.new", text.encode())
        os.rename(self.folder / f"{COMMIT}.new", self.folder / COMMIT)

    def _read_commit(self) -> _Commit:
        try:
            found = json.loads(read_whole(self.folder / COMMIT))
            commit = _Commit(*(list(map(str, found[name])) for name in ("names", "new", "old")))
        except (ValueError, KeyError, TypeError, RecursionError, FormatError):
            raise self._foreign(self.folder / COMMIT) from None
        names = commit.names
        sound = len(names) == len(commit.new) == len(commit.old) and names[:1] == [self.out.name]
        if not sound or any("/" in name or name in ("", ".", "..") for name in names):
            raise self._foreign(self.folder / COMMIT)
        return commit

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes the work after an error; after an interruption a folder stays, for `--resume`. Never raises."""
        if kind is not None and not issubclass(kind, Exception):
            with suppress(OSError):
                self._keep |= is_folder(self.paths[0])
        self._end()

    def _end(self) -> None:
        if self._lock.held:
            if not self._keep:
                with suppress(OutputError):
                    try:
                        self._check_parts()
                        self._clear()
                    except OSError as error:
                        self.left = error.strerror or ""
            self._lock.release(remove=not self._keep or self._is_empty())
        if self._done:
            if os.path.lexists(self.folder):
                reason = f" ({self.left})" if self.left else ""
                self.left = f"what was replaced could not be deleted{reason}; it is left in {self.folder}"
        elif not self._keep:
            for parent in self._parents:
                with suppress(OSError):
                    parent.rmdir()

    def _is_empty(self) -> bool:
        with suppress(OSError):
            return not set(os.listdir(self.folder)) - {"lock", "owner"}
        return False

    def _clear(self) -> None:
        """Removes what is in the work folder."""
        for name in sorted(os.listdir(self.folder)):
            path = self.folder / name
            if not _OURS.fullmatch(name) or name in ("lock", "owner"):
                continue
            if is_folder(path):
                shutil.rmtree(path)
            else:
                path.unlink()


def check_apart(outputs: Iterable[Path], sources: Iterable[tuple[int, int]]) -> None:
    """Refuses an output that is a source or holds one. Names don't tell: links and mounts give a folder several.

    Args:
        outputs: what is to be written or replaced.
        sources: device and inode of the sources, and of all folders they lie in.

    Raises:
        OutputError: it is one of them.
    """
    taken = {}
    for path in outputs:
        with suppress(FileNotFoundError, NotADirectoryError):
            status = path.stat()
            taken[status.st_dev, status.st_ino] = path
    for source in sources if taken else ():
        if source in taken:
            raise OutputError(
                "The output would replace its own source.", where=str(taken[source]), remedy="choose another -o"
            )


def pending(out: Path, number: int) -> Path | None:
    """Where the file lies that belongs to an output as it is, while its names are given or after a kill just then.

    Args:
        out: the first output.
        number: which of the others is wanted.
    """
    folder = work_folder(out)
    try:
        new = json.loads((folder / COMMIT).read_bytes())["new"][0]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return folder / (str(number) if identity(out) == new else f"{number}.old")


def _stamp(path: Path) -> tuple[int, int]:
    """Changes with whatever is done to a file, also where its size and times are made to look as before."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    return status.st_ino, status.st_ctime_ns


def output_error(error: OSError, path: Path) -> OutputError:
    """An operating system's refusal to write, in words."""
    remedy = {
        errno.ENOSPC: "free some space, or choose a -o on another disk",
        errno.EDQUOT: "your quota is used up: free some space, or choose a -o elsewhere",
        errno.EFBIG: "the file system or a limit (ulimit -f) does not allow files of this size",
        errno.EACCES: "choose a -o where you may write",
        errno.EROFS: "choose a -o on a disk that is not read-only",
        errno.EEXIST: "something else wrote there in the meantime",
    }.get(error.errno or 0, "")
    return OutputError(f"The output can't be written: {error.strerror}.", where=str(path), remedy=remedy)


def check_space(folder: Path, needed: int) -> None:
    """Refuses to begin what the disk can't hold.

    Raises:
        OutputError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"The output needs {needed:,} bytes, and {free:,} are free.",
            where=str(folder),
            remedy="free some space, or choose a -o on another disk",
        )
