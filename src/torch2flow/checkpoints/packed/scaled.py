"""Numbers of 8 bits with a scale for each block: float8 with `weight_scale_inv`, compressed-tensors, and torchao.

    fc.weight, fc.weight_scale_inv      float8_e4m3fn [out, in], float32 [out / 128, in / 128]: a scale for each block
    fc.weight, fc.weight_scale          float8 or int8, a scale for the tensor, for each row, or for groups of a row
    fc.weight._data, fc.weight._scale   optimum-quanto: float8 or int8, a scale for the tensor or for each row
    a tensor of torchao's               `qdata`, `scale`, `zero_point`, and the size of a block

The value is `(number - zero point) * scale`. Follows `inference/kernel.py` (`weight_dequant`) of DeepSeek-V3, whose
result is bfloat16; `compressed_tensors/quantization/lifecycle/forward.py` (0.12); `dequantize_affine` of
`torchao/quantization/quant_primitives.py` (0.18); and `optimum/quanto/tensor/qbytes.py` (0.2.7).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.packed.packed_tensor import (
    BFLOAT16,
    PackedTensor,
    Parts,
    floating,
    packed,
    rows_at_once,
    rows_of,
    unknown,
)
from torch2flow.checkpoints.pytorch import CompositeTensor, TensorRef
from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

    from torch2flow.checkpoints.dtypes import DType

DEFAULT_BLOCK = (128, 128)
"""`weight_block_size` of DeepSeek-V3, for files that don't say."""

COMPRESSED, QUANTO = "compressed-tensors", "optimum-quanto"

TORCHAO = {"Int8Tensor", "Float8Tensor", "IntxUnpackedToInt8Tensor"}
"""Those of torchao's tensors that hold a number for each element, not in the order of some kernel."""


def float8_blocks(name: str, parts: Parts, config: dict[str, Any]) -> PackedTensor:
    """A weight in float8 whose scales are for blocks of rows and columns."""
    weight, scales = parts["weight"], parts["weight_scale_inv"]
    size = config.get("weight_block_size") or DEFAULT_BLOCK
    block = tuple(size) if isinstance(size, list | tuple) else ()
    fits = len(weight.shape) == len(scales.shape) == len(block) == 2 and all(type(n) is int and n > 0 for n in block)
    if not fits or scales.shape != tuple(-(-n // b) for n, b in zip(weight.shape, block, strict=True)):
        problem = f"its scales have the shape {list(scales.shape)}, and the block size {list(block)} is another"
        return unknown("float8 with weight_scale_inv", parts, f"{problem}: give the folder with its config.json")
    return _scaled("float8 with weight_scale_inv", BFLOAT16, weight, scales, None, block, parts)


def scaled_weight(library: str, parts: Parts) -> PackedTensor:
    """A weight of compressed-tensors or optimum-quanto in 8 bits."""
    weight, scales, zeros = parts["weight"], parts["weight_scale"], parts.get("weight_zero_point")
    scheme = f"{library}, {weight.dtype}"
    shape = scales.shape if len(scales.shape) == len(weight.shape) else (1,) * len(weight.shape)
    if scales.numel != 1 and len(scales.shape) == 1 and scales.shape[0] == weight.shape[0]:
        shape = (weight.shape[0], *(1,) * (len(weight.shape) - 1))
    if (
        not weight.shape
        or scales.numel != _product(shape)
        or any(n % max(1, s) for n, s in zip(weight.shape, shape, strict=True))
    ):
        return unknown(scheme, parts, f"its scales have the shape {list(scales.shape)}, which is not documented")
    block = tuple(n // s if s else 1 for n, s in zip(weight.shape, shape, strict=True))
    has_its_dtype = library == QUANTO or scales.dtype.name in ("float16", "bfloat16")
    dtype = scales.dtype if has_its_dtype and scales.dtype.kind == "f" else BFLOAT16
    return _scaled(scheme, dtype, weight, scales, zeros, block, parts)


def torchao(tensor: CompositeTensor) -> PackedTensor | None:
    """A pickled tensor of torchao's; None for one of another library."""
    name = str(tensor.attributes.get("class", ""))
    kind = name.rpartition(".")[2]
    if not name.startswith("torchao."):
        return None
    parts = tensor.parts
    data, scales, block = parts.get("qdata"), parts.get("scale"), tensor.attributes.get("block_size")
    if kind not in TORCHAO or data is None or scales is None or "act_pre_scale" in parts:
        help = "call .dequantize() of its weights where torchao is, and save that"
        made = unknown(
            f"torchao {kind}", parts or {"": _nothing()}, f"its numbers are in the order of a kernel; {help}"
        )
        made.shape, made.dtype = tensor.shape, tensor.dtype
        return made
    whole = tuple(block) if isinstance(block, list | tuple) else ()
    if (
        len(whole) != len(tensor.shape)
        or data.shape != tensor.shape
        or not all(type(n) is int and n > 0 for n in whole)
    ):
        return unknown(f"torchao {kind}", parts, "its blocks don't have the number of its dimensions")
    return _scaled(f"torchao {kind}", tensor.dtype, data, scales, parts.get("zero_point"), whole, parts)


def _nothing() -> TensorRef:
    import numpy as np

    from torch2flow.checkpoints.pytorch.tensor import in_memory

    return in_memory(np.empty(0, "<f4"), BFLOAT16)


def _scaled(
    scheme: str,
    dtype: DType,
    weight: TensorRef,
    scales: TensorRef,
    zeros: TensorRef | None,
    block: tuple[int, ...],
    parts: Parts,
) -> PackedTensor:
    """A weight with a scale, and perhaps a zero point, for each block of elements."""
    counts = tuple(-(-n // b) for n, b in zip(weight.shape, block, strict=True))
    if scales.numel != _product(counts) or (zeros is not None and zeros.numel != scales.numel):
        return unknown(scheme, parts, f"it has {scales.numel} scales for {_product(counts)} blocks")

    def unpack() -> Iterator[np.ndarray[Any, Any]]:
        import numpy as np

        factors = floating(scales).reshape(counts)
        shifts = None if zeros is None else floating(zeros).reshape(counts)
        inner = _product(weight.shape[1:])
        step = rows_at_once(inner)
        for row in range(0, weight.shape[0], step):
            last = min(row + step, weight.shape[0])
            index = np.ix_(
                np.arange(row, last) // block[0],
                *(np.arange(n) // b for n, b in zip(weight.shape[1:], block[1:], strict=True)),
            )
            numbers = rows_of(weight, row, last).astype("<f4")
            if shifts is not None:
                numbers -= shifts[index]
            yield (numbers * factors[index]).reshape(-1)

    if not weight.shape:
        raise FormatError("A quantized weight has no dimensions.")
    return packed(scheme, dtype, weight.shape, parts, unpack)


def _product(numbers: tuple[int, ...]) -> int:
    total = 1
    for number in numbers:
        total *= number
    return total
