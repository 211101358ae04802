"""safetensors files: a JSON header with every tensor's dtype, shape and byte range, then the bytes.

    u64      header length N, little endian
    N bytes  {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
    the rest all tensors' bytes, C order, little endian, without holes

Follows the format's README (safetensors 0.8): offsets count from the end of the header, ranges neither
overlap nor leave holes, the header is at most 100 MB.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from torch2flow.checkpoints.dtypes import BY_SAFETENSORS, DType
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import Storage, Tensor, TensorRef, check_shape, contiguous_stride
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import Pairs, parse_json, unique_names

MAX_HEADER = 100_000_000


def looks_like_safetensors(head: bytes, size: int) -> bool:
    """A plausible header length followed by the start of a JSON object."""
    if len(head) < 9:
        return False
    (length,) = struct.unpack_from("<Q", head)
    return 2 <= length <= min(size - 8, MAX_HEADER) and head[8:9] == b"{"


def open_safetensors(file: SourceFile) -> Container:
    """A `.safetensors` file.

    Raises:
        FormatError: the header is no valid safetensors header for a file of this size.
    """
    (length,) = struct.unpack("<Q", file.read(0, 8, "the header length"))
    start = 8 + length
    header = parse_json(
        file.read(8, min(length, MAX_HEADER), "the header"), str(file.path), _Entries(file, start).value
    )
    if not isinstance(header, dict):
        raise _error(file, "its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _error(file, "its __metadata__ holds something other than text")
    tensors: StatefulDict = StatefulDict()
    for name, tensor in header.items():
        if not isinstance(tensor, TensorRef):
            why = tensor if isinstance(tensor, _Unsound) else "is incomplete"
            raise _error(file, f"the entry of {name[:100]!r} {why}")
        tensor.storage.key = name
        tensors[name] = tensor
    if not _follow(tensors.values(), start, file.size):
        _check_ranges(file, tensors, start)
    return Container(
        "safetensors", tensors, [file], "safetensors", metadata={"__metadata__": metadata} if metadata else {}
    )


class _Unsound(str):
    """Why an entry is none; its name is not known yet."""


class _Entries:
    """Makes tensors of the entries of a header while it is parsed: a million of them have no room to be kept twice.

    Args:
        file: where the tensors lie.
        start: where their bytes begin.
    """

    def __init__(self, file: SourceFile, start: int) -> None:
        self.file, self.start = file, start
        self.shapes: dict[tuple[DType, tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...], int]] = {}

    def value(self, pairs: Pairs) -> Any:
        """A tensor, or the dictionary that an object is if it has not the names of a tensor."""
        entry = unique_names(pairs)
        if len(entry) != 3 or "data_offsets" not in entry or "dtype" not in entry or "shape" not in entry:
            return entry
        dtype, sizes, offsets = BY_SAFETENSORS.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
        if dtype is None:
            return _Unsound(f"has the unknown dtype {str(entry['dtype'])[:20]!r}")
        if type(sizes) is not list or type(offsets) is not list or len(offsets) != 2:
            return _Unsound("is incomplete")
        begin, end = offsets
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end < 1 << 62:
            return _Unsound("has impossible numbers")
        known = self.shapes.get((dtype, tuple(sizes))) if all(type(size) is int for size in sizes) else None
        if known is None:
            if not all(type(size) is int and 0 <= size < 1 << 62 for size in sizes) or len(sizes) > 64:
                return _Unsound("has impossible numbers")
            shape = tuple(sizes)
            if dtype.kind == "x" and shape:  # float4: two elements a byte, as PyTorch's float4_e2m1fn_x2 counts them
                shape = (*shape[:-1], shape[-1] // 2)
            try:
                check_shape(shape)
            except FormatError:
                return _Unsound("has an absurd shape")
            nbytes = math.prod(shape) * dtype.itemsize
            known = self.shapes[dtype, tuple(sizes)] = shape, contiguous_stride(shape), nbytes
        shape, stride, nbytes = known
        if end - begin != nbytes:
            return _Unsound(f"has {end - begin} bytes, its shape needs {nbytes}")
        return TensorRef.whole(dtype, shape, stride, Storage("", nbytes, self.file, self.start + begin))


def _follow(tensors: Iterable[Tensor], start: int, end: int) -> bool:
    """Whether tensors lie one behind the other, in this order, from `start` to `end`."""
    for tensor in tensors:
        assert isinstance(tensor, TensorRef)
        if tensor.storage.offset != start:
            return False
        start += tensor.storage.nbytes
    return start == end


def _check_ranges(file: SourceFile, tensors: Mapping[str, Tensor], start: int) -> None:
    behind = start
    dense = ((name, tensor.storage) for name, tensor in tensors.items() if isinstance(tensor, TensorRef))
    places = sorted((storage.offset, storage.nbytes, name) for name, storage in dense)
    for offset, nbytes, name in places:
        if offset != behind:
            raise _error(file, f"the bytes of {name[:100]!r} overlap another tensor's or leave a hole")
        behind += nbytes
    if behind != file.size:
        raise _error(file, f"its tensors need {behind - start} bytes, the file has {file.size - start}")


def _error(file: SourceFile, reason: str) -> FormatError:
    return FormatError(
        f"The safetensors file can't be used: {reason}.",
        where=str(file.path),
        maybe="the file is cut off or damaged",
        remedy="compare its size and checksum with the original and fetch it again",
    )
