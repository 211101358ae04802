"""safetensors files: a JSON header with every tensor's dtype, shape and byte range, then the bytes.

    u64      header length N, little endian
    N bytes  {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {...}}
    the rest all tensors' bytes, C order, little endian, without holes

Follows the format's README (safetensors 0.8): offsets count from the end of the header, ranges neither
overlap nor leave holes, the header is at most 100 MB.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from torch2flow.checkpoints.dtypes import BY_SAFETENSORS
from torch2flow.checkpoints.pickles import StatefulDict
from torch2flow.checkpoints.pytorch.containers import Container
from torch2flow.checkpoints.pytorch.source_file import SourceFile
from torch2flow.checkpoints.pytorch.tensor import Storage, TensorRef, check_shape, contiguous_stride
from torch2flow.errors import FormatError

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
    header = parse_json(file.read(8, min(length, MAX_HEADER), "the header"), str(file.path))
    start = 8 + length
    metadata = header.pop("__metadata__", {})
    tensors: StatefulDict = StatefulDict()
    ranges: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        tensors[name], begin, end = _tensor(file, start, name, entry)
        ranges.append((begin, end, name))
    behind = 0
    for begin, end, name in sorted(ranges):
        if begin != behind:
            raise _error(file, f"the bytes of {name[:100]!r} overlap another tensor's or leave a hole")
        behind = end
    if start + behind != file.size:
        raise _error(file, f"its tensors need {behind} bytes, the file has {file.size - start}")
    text = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    if not text:
        raise _error(file, "its __metadata__ holds something other than text")
    return Container(
        "safetensors", tensors, [file], "safetensors", metadata={"__metadata__": metadata} if metadata else {}
    )


def parse_json(raw: bytes, where: str) -> dict[str, Any]:
    """A JSON object in which no name stands twice.

    Raises:
        FormatError: it is something else.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a name stands twice")
        return result

    try:
        value = json.loads(raw, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"The JSON is not valid: {error}.", where=where, maybe="the file is cut off") from None
    if not isinstance(value, dict):
        raise FormatError("The JSON is no object.", where=where)
    return value


def _tensor(file: SourceFile, start: int, name: str, entry: Any) -> tuple[TensorRef, int, int]:
    try:
        dtype = BY_SAFETENSORS.get(entry["dtype"])
        shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
        numbers = (*shape, begin, end)
    except (TypeError, KeyError, ValueError):
        raise _error(file, f"the entry of {name[:100]!r} is incomplete") from None
    if dtype is None:
        raise _error(file, f"{name[:100]!r} has the unknown dtype {str(entry['dtype'])[:20]!r}")
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers) or len(shape) > 64:
        raise _error(file, f"the entry of {name[:100]!r} has impossible numbers")
    if dtype.kind == "x" and shape:  # float4: two elements a byte, as PyTorch's float4_e2m1fn_x2 counts them
        shape = (*shape[:-1], shape[-1] // 2)
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise _error(
            file,
            f"{name[:100]!r} has {end - begin} bytes, its shape needs {math.prod(shape) * dtype.itemsize}",
        )
    check_shape(shape)
    storage = Storage(name, end - begin, file, start + begin)
    return TensorRef(dtype, shape, contiguous_stride(shape), 0, storage), begin, end


def _error(file: SourceFile, reason: str) -> FormatError:
    return FormatError(
        f"The safetensors file can't be used: {reason}.",
        where=str(file.path),
        maybe="the file is cut off or damaged",
        remedy="compare its size and checksum with the original and fetch it again",
    )
