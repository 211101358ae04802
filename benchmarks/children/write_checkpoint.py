"""Writes a checkpoint with real PyTorch: `write_checkpoint.py PATH BYTES TENSORS DTYPE dense|sparse`

Tensors are named as those of `nn.Sequential` are: `0.weight`, `1.weight`, ...
"""

from __future__ import annotations

import io
import os
import sys
from collections import OrderedDict

import numpy as np
import torch


class SparseFile(io.RawIOBase):
    """A file in which zeros become holes; `torch.save` writes a storage with one call."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self.end = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Appends; zeros only move the end."""
        view = memoryview(data).cast("B")
        if len(view) < 1 << 16 or bytes(view).count(0) != len(view):
            os.pwrite(self.fd, view, self.end)
        self.end += len(view)
        return len(view)

    def close(self) -> None:
        """Gives the file its length."""
        if not self.closed:
            os.ftruncate(self.fd, self.end)
            os.close(self.fd)
        super().close()


def main(path: str, nbytes: str, tensors: str, dtype: str, kind: str) -> None:
    """Writes the file."""
    kept = getattr(torch, dtype)
    count = int(nbytes) // int(tensors) // torch.empty((), dtype=kept).element_size()
    columns = 4096 if count % 4096**2 == 0 else 64 if count % 64 == 0 or count > 4096 else 1
    shape = (count // columns, columns)
    state = OrderedDict()
    for number in range(int(tensors)):
        if kind == "sparse":  # calloc's pages, which are not there until they are written
            state[f"{number}.weight"] = torch.from_numpy(np.zeros(shape, "f4"))
        else:
            state[f"{number}.weight"] = torch.full(shape, number + 0.5, dtype=kept)
    if kind == "sparse":
        with SparseFile(path) as stream:
            torch.save(state, stream)
    else:
        torch.save(state, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
