"""A `.safetensors` file that grows by one tensor at a time, for recordings that need not fit into memory.

The format has its table of contents in front, which is complete only at the end: until then the bytes go to
an unnamed file beside it, and then move over inside the kernel. Tensors go by falling element size, so that each
is aligned to its own (safetensors 0.8, README).
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
from pathlib import Path
from types import TracebackType

from torch2flow.checkpoints.dtypes import DType
from torch2flow.checkpoints.writing.kernel_copy import copy_range, write_all

Row = tuple[str, DType, tuple[int, ...], int, int]
"""Name, dtype, shape, where its bytes begin, and how many they are."""


class Recording:
    """Tensors recorded so far; a context, at whose end the unnamed file is gone.

    Args:
        folder: where the unnamed file lies: on the disk that the result will be on.

    Raises:
        OSError: it can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self.rows: list[Row] = []
        self.names: dict[str, int] = {}
        self._spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._end = 0

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, name: str, dtype: DType, shape: tuple[int, ...], data: memoryview) -> None:
        """Appends a tensor: its elements in C order.

        Raises:
            OSError: the disk is full.
        """
        assert name not in self.names, name
        self.names[name] = len(self.rows)
        write_all(self._spool.fileno(), data)
        self.rows.append((name, dtype, shape, self._end, data.nbytes))
        self._end += data.nbytes

    def read(self, name: str) -> tuple[DType, tuple[int, ...], bytearray]:
        """What was recorded under a name: dtype, shape, and the bytes.

        Raises:
            KeyError: nothing was.
        """
        _, dtype, shape, start, nbytes = self.rows[self.names[name]]
        data = bytearray(nbytes)
        view = memoryview(data)
        while view:
            count = os.preadv(self._spool.fileno(), [view], start)
            view, start = view[count:], start + count
        return dtype, shape, data

    def save(self, path: Path, metadata: dict[str, str]) -> int:
        """Writes everything to `path` and returns its size in bytes.

        Raises:
            OSError: it can't be written.
        """
        rows = sorted(self.rows, key=lambda row: -row[1].itemsize)
        header: dict[str, object] = {"__metadata__": metadata}
        at = 0
        for name, dtype, shape, _, nbytes in rows:
            header[name] = {"dtype": dtype.safetensors, "shape": shape, "data_offsets": [at, at + nbytes]}
            at += nbytes
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        text += b" " * (-len(text) % 8)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(fd, struct.pack("<Q", len(text)) + text)
            for _, _, _, start, nbytes in rows:
                copy_range(self._spool.fileno(), start, fd, nbytes, lambda count: None)
        finally:
            os.close(fd)
        return 8 + len(text) + at

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()
