"""Brings the bytes of a checkpoint into live OneFlow tensors, with a few MiB in memory at a time.

OneFlow 0.9.0 runs operators on a thread of its own, so there are three ways, each measured on two cores:

| the tensor                       | way                                                | beside the bytes |
|----------------------------------|----------------------------------------------------|------------------|
| on the CPU, larger than `DIRECT` | read into its memory, of which `numpy()` is a view | 600 us waiting   |
| smaller, or bfloat16 (by slices) | read, then `_copy_from_numpy`, not waited for      | 10 us            |
| on a GPU, or strided             | `copy_` by slices, waited for every few MiB        | 30 us            |

Giving the parameter another memory (`parameter.data = from_numpy(...)`) costs 20 us and would leave views of
the old one behind.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.dtypes import DType, numpy_dtype
from torch2flow.checkpoints.pytorch import Storage, Tensor, TensorRef
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import CHUNK
from torch2flow.checkpoints.writing.value_changes import cast, changed_chunks, plain_source
from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

DIRECT = 1 << 20
"""From how many bytes on waiting for OneFlow's thread costs less than another copy."""

PENDING = 16 << 20
"""Bytes that may wait to be copied: OneFlow holds each array until its thread gets to it."""


@dataclass(slots=True, eq=False)
class IncomingTensor:
    """One tensor to bring in.

    Attributes:
        tensor: the source.
        dtype: element type it is to have.
        shape: the live tensor's.
        change: a row of `value_changes.py`, or "".
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
        """A key for sorting by file and offset, so that files are read forward."""
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
        # Where the file holds another dtype, only the tensor in that dtype has a place.
        storage: Storage | None = getattr(getattr(self.tensor, "source", None) or self.tensor, "storage", None)
        if storage is None or storage.file is None:
            return
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

    def create(self, piece: IncomingTensor) -> Any:
        """A new tensor on the CPU; but for bfloat16 it lives in the array that was read."""
        if piece.dtype.name != "bfloat16":
            return self.flow.from_numpy(read(piece))
        tensor = self.flow.empty(piece.shape, dtype=self.flow.bfloat16)
        self.fill(tensor, piece)
        return tensor

    def fill(self, tensor: Any, piece: IncomingTensor) -> None:
        """Overwrites a tensor of the piece's shape and dtype, in place."""
        is_bfloat16 = piece.dtype.name == "bfloat16"
        if tensor.device.type != "cpu" or not tensor.is_contiguous() or (is_bfloat16 and not self.copies_bits):
            with self.flow.no_grad():
                self._convert(tensor, piece)
        elif piece.nbytes <= DIRECT:
            tensor._copy_from_numpy(read(piece))
            self._count(piece.nbytes)
        elif is_bfloat16:
            flat, start = tensor.detach().view(-1), 0
            for chunk in chunks(piece):
                flat[start : start + chunk.size]._copy_from_numpy(chunk)
                start += chunk.size
                self._count(chunk.nbytes)
        else:
            read_into(tensor.detach().numpy(), piece)

    @cached_property
    def copies_bits(self) -> bool:
        """Whether `_copy_from_numpy` takes NumPy's bfloat16: 0.9.0 copies whatever bytes it is given."""
        import ml_dtypes
        import numpy as np

        sample = np.array([1.5, -3.0], ml_dtypes.bfloat16)
        tensor = self.flow.zeros(2, dtype=self.flow.bfloat16)
        try:
            tensor._copy_from_numpy(sample)
        except (RuntimeError, TypeError):
            return False
        return bool((tensor.to(self.flow.float32).numpy() == sample.astype("f4")).all())

    def _convert(self, tensor: Any, piece: IncomingTensor) -> None:
        if not tensor.is_contiguous():
            tensor.copy_(self._on_device(read(piece), tensor))
            self._count(piece.nbytes)
            return
        flat, start = tensor.detach().view(-1), 0
        for chunk in chunks(piece):
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


def read(piece: IncomingTensor) -> np.ndarray[Any, Any]:
    """The values as a new array of the piece's shape and dtype."""
    import numpy as np

    array = np.empty(piece.shape, numpy_dtype(piece.dtype))
    read_into(array, piece)
    return array


def read_into(array: np.ndarray[Any, Any], piece: IncomingTensor) -> None:
    """Fills a C-contiguous array of the piece's shape and dtype.

    Raises:
        FormatError: the file can't be read, or became shorter.
    """
    import numpy as np

    flat = array.reshape(-1)
    plain = piece.plain
    if plain is not None and plain.storage.file is not None:
        _read_bytes(plain.storage.file, plain.storage.offset + plain.byte_offset, flat)
        return
    if type(piece.tensor) is TensorRef and piece.tensor.dtype is piece.dtype and piece.tensor.is_stored:
        np.copyto(array, piece.tensor.view())  # a block of a matrix: row by row out of the mapped file
        return
    start = 0
    for chunk in piece.chunks():
        flat[start : start + chunk.size] = chunk
        start += chunk.size


def chunks(piece: IncomingTensor) -> Iterator[np.ndarray[Any, Any]]:
    """The elements in C order as flat arrays of a few MiB, each with its own memory."""
    import numpy as np

    plain = piece.plain
    if plain is None or plain.storage.file is None:
        yield from piece.chunks()
        return
    dtype, start = numpy_dtype(piece.dtype), plain.storage.offset + plain.byte_offset
    for offset in range(0, piece.nbytes, CHUNK):
        array = np.empty(min(CHUNK, piece.nbytes - offset) // dtype.itemsize, dtype)
        _read_bytes(plain.storage.file, start + offset, array)
        yield array


def _read_bytes(file: SourceFile, offset: int, array: np.ndarray[Any, Any]) -> None:
    import numpy as np

    rest = memoryview(array.view(np.uint8).data)
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
