"""bitsandbytes: blocks of 4-bit codes with a scale each (nf4, fp4), and rows of int8 with a scale each (LLM.int8).

    fc.weight                                    uint8 [n / 2, 1]: two codes a byte, the first in the upper half
    fc.weight.quant_map                          float32 [16]: the value of each code
    fc.weight.absmax                             the scale of each block; itself in 8 bits if it is nested
    fc.weight.nested_absmax, .nested_quant_map   then its scales and the values of its codes
    fc.weight.quant_state.bitsandbytes__nf4      JSON as bytes: block size, dtype and shape

    fc.weight, fc.SCB                            int8 [out, in], float32 [out]: value = weight * SCB / 127

Follows `QuantState` and `dequantize_4bit` of `bitsandbytes/functional.py` and `backends/default/ops.py` (0.50.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from torch2flow.checkpoints.dtypes import find_dtype
from torch2flow.checkpoints.packed.packed_tensor import (
    FLOAT32,
    PackedTensor,
    Parts,
    floating,
    packed,
    rows_at_once,
    rows_of,
    unknown,
)
from torch2flow.checkpoints.pytorch import TensorRef
from torch2flow.checkpoints.pytorch.tensor import CHUNK, check_shape
from torch2flow.errors import FormatError
from torch2flow.guards.json_text import parse_object
from torch2flow.guards.records import checked

if TYPE_CHECKING:
    import numpy as np

INT8_SCALE = 1 / 127
"""What `int8_vectorwise_dequant` multiplies by, as the float32 nearest to it."""

MOST_STATE = 1 << 16


class _State(TypedDict):
    blocksize: int
    dtype: str
    shape: list[int]


def four_bits(name: str, kind: str, parts: Parts) -> PackedTensor:
    """A weight in nf4 or fp4. The parts are `weight`, `absmax`, `quant_map`, `state`, and those of a nested scale."""
    scheme = f"bitsandbytes {kind}"
    state_bytes = parts["state"]
    if state_bytes.nbytes > MOST_STATE:
        raise FormatError(f"The quantization state of {name[:200]!r} is larger than any real one.")
    where = f"the quantization state of {name[:200]}"
    content = parse_object(state_bytes.numpy().tobytes(), where)
    state = checked(_State, content, where)
    shape, dtype = tuple(state["shape"]), find_dtype(state["dtype"])
    check_shape(shape)
    weight, codes, absmax = parts["weight"], parts.get("quant_map"), parts.get("absmax")
    size, count = state["blocksize"], math.prod(shape)
    blocks = -(-count // size) if size > 0 else 0
    nested = "nested_absmax" in parts
    sound = (
        dtype is not None
        and dtype.kind == "f"
        and size > 0
        and size % 2 == 0
        and codes is not None
        and codes.shape == (16,)
        and absmax is not None
        and absmax.numel == blocks
        and weight.nbytes == (count + 1) // 2
        and (absmax.dtype.kind == "f" or (nested and "nested_quant_map" in parts))
    )
    if not sound or dtype is None or codes is None or absmax is None:
        return unknown(scheme, parts, "its parts don't have the sizes that its state says: the file may be damaged")

    def unpack() -> Iterator[np.ndarray[Any, Any]]:
        import numpy as np

        values = floating(codes)
        scales = _nested(parts, content) if nested else floating(absmax).reshape(-1)
        step = max(1, CHUNK // (4 * size)) * size // 2  # bytes of whole blocks
        raw = weight.seen((weight.nbytes,), (1,))
        for start in range(0, weight.nbytes, step):
            part = raw.region((start,), (min(start + step, weight.nbytes),)).numpy().view("u1")
            numbers = np.empty(2 * part.size, "u1")
            numbers[::2], numbers[1::2] = part >> 4, part & 15
            numbers = numbers[: count - 2 * start]
            block = np.arange(2 * start, 2 * start + numbers.size) // size
            yield values[numbers] * scales[block]

    return packed(scheme, dtype, shape, parts, unpack)


def _nested(parts: Parts, state: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The scales of the blocks, which were quantized too: each the value of its code, times a scale, plus an offset."""
    import numpy as np

    codes, scales = floating(parts["nested_quant_map"]).reshape(-1), floating(parts["nested_absmax"]).reshape(-1)
    size, offset = state.get("nested_blocksize"), state.get("nested_offset")
    numbers = parts["absmax"].numpy().reshape(-1)
    if type(size) is not int or size < 1 or not isinstance(offset, int | float) or codes.size != 256:
        raise FormatError("The nested scales of a bitsandbytes weight lack their state.")
    if scales.size != -(-numbers.size // size):
        raise FormatError("The nested scales of a bitsandbytes weight don't have the sizes that its state says.")
    absmax: np.ndarray[Any, Any] = codes[numbers] * scales[np.arange(numbers.size) // size] + np.float32(offset)
    return absmax


def eight_bits(name: str, parts: Parts) -> PackedTensor:
    """A weight of LLM.int8: its rows have a scale each. The parts are `weight` and `SCB`."""
    weight, scales = parts["weight"], parts["SCB"]
    if len(weight.shape) != 2 or scales.numel != weight.shape[0]:
        return unknown("bitsandbytes int8", parts, "its scales are not one for each row")
    order: TensorRef | None = parts.get("weight_format")
    if order is not None and order.numel == 1 and int(order.numpy().reshape(-1)[0]) != 0:
        return unknown("bitsandbytes int8", parts, "its rows are in the order of a GPU's tiles: save it on the CPU")

    def unpack() -> Iterator[np.ndarray[Any, Any]]:
        import numpy as np

        factors = floating(scales).reshape(-1, 1)
        step = rows_at_once(weight.shape[1])
        for row in range(0, weight.shape[0], step):
            part = rows_of(weight, row, min(row + step, weight.shape[0]))
            yield (part.astype("<f4") * factors[row : row + step] * np.float32(INT8_SCALE)).reshape(-1)

    return packed("bitsandbytes int8", FLOAT32, weight.shape, parts, unpack)
