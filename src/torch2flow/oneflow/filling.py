"""Brings the bytes of a checkpoint into live OneFlow tensors, with a few MiB in memory at a time.

OneFlow 0.9.0 runs operators on a thread of its own, so there are three ways, each measured on two cores:

| the tensor                       | way                                                | beside the bytes |
|----------------------------------|----------------------------------------------------|------------------|
| on the CPU, larger than `DIRECT` | read into its memory, of which `numpy()` is a view | 600 us waiting   |
| on the CPU, smaller              | read, then `_copy_from_numpy`, not waited for      | 10 us            |
| bfloat16, on a GPU, or strided   | `copy_` by slices, waited for every few MiB        | 30 us            |

Giving the parameter another memory (`parameter.data = from_numpy(...)`) costs 20 us and would leave views of
the old one behind.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch2flow.changes import cast, changed_chunks, plain_source
from torch2flow.dtypes import DType, numpy_dtype
from torch2flow.errors import FormatError
from torch2flow.pytorch import Storage, Tensor, TensorRef
from torch2flow.pytorch.source import SourceFile

if TYPE_CHECKING:
    import numpy as np

DIRECT = 1 << 20
"""Bytes from which the wait for OneFlow's thread costs less than another copy."""

PENDING = 16 << 20
"""Bytes that may wait to be copied: OneFlow holds each array until its thread gets to it."""


@dataclass(slots=True, eq=False)
class Piece:
    """One tensor to bring in.

    Attributes:
        tensor: the source.
        dtype: element type it is to have.
        shape: the live tensor's.
        change: a row of `changes.py`, or "".
        nbytes: bytes in the live tensor.
    """

    tensor: Tensor
    dtype: DType
    shape: tuple[int, ...]
    change: str = ""
    nbytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize

    @property
    def plain(self) -> TensorRef | None:
        """The source whose bytes are those of the live tensor; None where they have to be made."""
        return plain_source(self.tensor, self.change) if self.tensor.dtype is self.dtype else None

    @property
    def place(self) -> tuple[str, int]:
        """File and offset of the first byte: in this order, reading goes forward."""
        tensor = self.tensor
        if not isinstance(tensor, TensorRef) or tensor.storage.file is None:
            return "", 0
        return str(tensor.storage.file.path), tensor.storage.offset + tensor.byte_offset

    def chunks(self) -> Iterator[np.ndarray[Any, Any]]:
        """The elements in C order, flat, a few MiB at a time."""
        for chunk in changed_chunks(self.tensor, self.change):
            yield cast(chunk, self.dtype)

    def check_readable(self) -> None:
        """Refuses a storage that reaches beyond its file, before anything is written.

        Raises:
            FormatError: it does.
        """
        for tensor in (self.tensor, getattr(self.tensor, "source", None)):
            storage: Storage | None = getattr(tensor, "storage", None)
            if storage is None or storage.file is None:
                continue
            if not 0 <= storage.offset <= storage.file.size - storage.nbytes:
                storage.read(storage.nbytes, 0)  # raises, with all there is to say


class Filler:
    """Fills tensors one after the other; `finish` waits for the last.

    Args:
        flow: the module `oneflow`.
    """

    def __init__(self, flow: Any) -> None:
        self.flow = flow
        self.pending = 0
        # What still runs may read the tensors that are about to be written.
        self.finish()

    def finish(self) -> None:
        """Waits until OneFlow has done all it was given."""
        self.flow._oneflow_internal.eager.Sync()
        self.pending = 0

    def create(self, piece: Piece) -> Any:
        """A new tensor on the CPU; but for bfloat16 it lives in the array that was read."""
        if piece.dtype.name != "bfloat16":
            return self.flow.from_numpy(read(piece))
        tensor = self.flow.empty(piece.shape, dtype=self.flow.bfloat16)
        self._copy(tensor, piece)
        return tensor

    def fill(self, tensor: Any, piece: Piece) -> None:
        """Overwrites a tensor of the piece's shape and dtype, in place."""
        if piece.dtype.name == "bfloat16" or tensor.device.type != "cpu" or not tensor.is_contiguous():
            self._copy(tensor, piece)
        elif piece.nbytes > DIRECT:
            read_into(tensor.detach().numpy(), piece)
        else:
            tensor._copy_from_numpy(read(piece))
            self._count(piece.nbytes)

    def _copy(self, tensor: Any, piece: Piece) -> None:
        flow, start = self.flow, 0
        with flow.no_grad():
            if not tensor.is_contiguous():
                tensor.copy_(self._on_device(read(piece), tensor))
                self._count(piece.nbytes)
                return
            flat = tensor.detach().view(-1)
            for chunk in piece.chunks():
                flat[start : start + chunk.size].copy_(self._on_device(chunk, tensor))
                start += chunk.size
                self._count(2 * chunk.nbytes)

    def _on_device(self, array: np.ndarray[Any, Any], tensor: Any) -> Any:
        if tensor.dtype == self.flow.bfloat16:  # NumPy has none that OneFlow knows
            array = array.astype("<f4")
        return self.flow.from_numpy(array).to(tensor.device).to(tensor.dtype)

    def _count(self, nbytes: int) -> None:
        self.pending += nbytes
        if self.pending > PENDING:
            self.finish()


def read(piece: Piece) -> np.ndarray[Any, Any]:
    """The values as a new array of the piece's shape and dtype."""
    import numpy as np

    array = np.empty(piece.shape, numpy_dtype(piece.dtype))
    read_into(array, piece)
    return array


def read_into(array: np.ndarray[Any, Any], piece: Piece) -> None:
    """Fills a C-contiguous array of the piece's shape and dtype.

    Raises:
        FormatError: the file can't be read, or became shorter.
    """
    import numpy as np

    flat = array.reshape(-1)
    plain = piece.plain
    if plain is None or plain.storage.file is None:
        start = 0
        for chunk in piece.chunks():
            flat[start : start + chunk.size] = chunk
            start += chunk.size
    elif flat.size:
        rest = memoryview(flat.view(np.uint8).data)
        _read_bytes(plain.storage.file, plain.storage.offset + plain.byte_offset, rest)


def _read_bytes(file: SourceFile, offset: int, rest: memoryview) -> None:
    try:
        with file.opened() as fd:
            count = os.preadv(fd, [rest], offset)
            while count < len(rest):  # the kernel reads at most 2 GiB at once
                if not count:
                    raise FormatError("The file became shorter while it was read.", where=str(file.path))
                rest, offset = rest[count:], offset + count
                count = os.preadv(fd, [rest], offset)
    except OSError as error:
        raise FormatError(f"The file can't be read: {error.strerror}.", where=str(file.path)) from None
