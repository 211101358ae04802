"""Downloads a file once, checks its hash, and goes on where an interrupted download stopped."""

from __future__ import annotations

import fcntl
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from torch2flow.checkpoints.writing.renaming import move
from torch2flow.errors import FormatError, OutputError, UsageError
from torch2flow.guards.regular_files import file_digest

PIECE = 1 << 18
TRIES = 3
PATIENCE = 30.0
"""Seconds without a byte after which a connection counts as lost."""


class _Lost(Exception):
    """The connection ended before the file did."""


def fetch(url: str, path: Path, sha256: str = "", progress: Callable[[int], Any] | None = None) -> Path:
    """The file at `path`, which is downloaded unless it is there.

    What has come so far lies beside it as `NAME.part` and is gone on with, by this run or the next.

    Args:
        url: http or https, or file.
        path: where it belongs.
        sha256: the first digits of its hash; "" checks nothing.
        progress: called with the number of bytes to come, gives a function that is told of each piece's length.

    Raises:
        UsageError: the network does not give it.
        FormatError: it has another hash.
        OutputError: the folder can't be written.
    """
    if path.is_file():
        _check(path, path, sha256)
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab") as stream:
            with suppress(OSError):  # a file system may have no locks
                fcntl.flock(stream, fcntl.LOCK_EX)  # two runs would write into one another's
            if path.is_file():
                return path
            _download(url, path, stream, progress)
        _check(part, path, sha256)
        with suppress(FileExistsError):  # another run was faster, and its file has the same hash
            move(part, path)
    except OSError as error:
        raise OutputError(
            f"The cache can't be written: {error.strerror or error}.",
            where=str(path),
            remedy="set TORCH_HOME to a folder that can be written, or download the file elsewhere and give it as"
            " --weights FILE",
        ) from None
    return path


def _download(url: str, path: Path, stream: IO[bytes], progress: Callable[[int], Any] | None) -> None:
    advance: Any = None
    trouble: Exception | None = None
    for _ in range(TRIES):
        try:
            with _open(url, stream.tell()) as response:
                if response.status != http.client.PARTIAL_CONTENT:
                    stream.truncate(0)
                    stream.seek(0)
                length = int(response.headers.get("Content-Length") or 0)
                if advance is None and progress is not None:
                    advance = progress(length)
                _copy(response, stream, length, advance)
            return
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and stream.tell():
                return  # all of it has come: the hash will tell
            raise _unreachable(url, path, error) from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, _Lost) as error:
            trouble = error
    assert trouble is not None
    raise _unreachable(url, path, trouble, stream.tell()) from None


def _open(url: str, start: int) -> Any:
    headers = {"User-Agent": "torch2flow"} | ({"Range": f"bytes={start}-"} if start else {})
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE)


def _copy(response: Any, stream: IO[bytes], length: int, advance: Callable[[int], Any] | None) -> None:
    came = 0
    while piece := response.read(PIECE):
        stream.write(piece)
        came += len(piece)
        if advance:
            advance(len(piece))
    stream.flush()
    if came < length:
        raise _Lost(f"it ended after {came:,} of {length:,} bytes")


def _unreachable(url: str, path: Path, error: Exception, come: int = 0) -> UsageError:
    reason = error if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", None) or error
    so_far = f"; {come:,} bytes have come, and the next run goes on from there" if come else ""
    return UsageError(
        f"{path.name} is not in the cache, and could not be downloaded: {reason}{so_far}.",
        where=url,
        maybe="there is no network here, or a proxy is needed: https_proxy",
        remedy=f"download it elsewhere and put it at {path}, or give it as --weights FILE",
    )


def _check(found: Path, path: Path, sha256: str) -> None:
    if not sha256:
        return
    digest = file_digest(found)
    if digest.startswith(sha256):
        return
    if found != path:
        found.unlink()  # going on from it would not help
    raise FormatError(
        f"This file is not the one that its name says: its sha256 begins with {digest[: len(sha256)]}, not"
        f" {sha256}.",
        where=str(path),
        maybe="the download was changed on the way, or another file was put there",
        remedy="remove it and run again" if found == path else "run again",
    )
