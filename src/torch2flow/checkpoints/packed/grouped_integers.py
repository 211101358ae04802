"""GPTQ, AWQ and compressed-tensors: integers of a few bits in int32 words, with a scale for each group of inputs.

    GPTQ   qweight [in * bits / 32, out], qzeros [groups, out * bits / 32], scales [groups, out], g_idx [in]
    AWQ    qweight [in, out * bits / 32], qzeros [groups, out * bits / 32], scales [groups, out]
    compressed-tensors' pack-quantized   weight_packed [out, in * bits / 32], weight_scale [out, groups], weight_shape

The value is `(integer - zero point) * scale`. A word holds its numbers from the lowest bits on; AWQ's are the columns
0, 2, 4, 6, 1, 3, 5, 7 of eight. GPTQ's first format, which a file has that does not say another, stores the zero
point less one. Follows `gptqmodel/nn_modules/qlinear/__init__.py` and `utils/model.py` (GPTQModel 5), `awq/utils/
packing_utils.py` (AutoAWQ 0.2.9) and `compressed_tensors/compressors/quantized_compressors/pack_quantized.py` (0.12).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch2flow.checkpoints.packed.packed_tensor import (
    BFLOAT16,
    PackedTensor,
    Parts,
    columns_of,
    packed,
    rows_at_once,
    rows_of,
    unknown,
    unpacked,
)
from torch2flow.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

BITS = (2, 3, 4, 8)
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
HELP = "dequantize it where its library is, and save that: model.dequantize().save_pretrained(...)"


def integers(name: str, parts: Parts, config: dict[str, Any]) -> PackedTensor:
    """A weight of GPTQ or AWQ: which of them, its shapes say."""
    words, zeros, scales = parts["qweight"], parts["qzeros"], parts["scales"]
    plain = all(len(part.shape) == 2 for part in (words, zeros, scales)) and words.dtype.name == "int32"
    if not plain or zeros.dtype.name != "int32" or scales.dtype.kind != "f" or not scales.numel:
        return unknown("GPTQ or AWQ", parts, f"its parts have shapes that are not documented; {HELP}")
    groups, outputs = scales.shape
    bits = zeros.shape[1] * 32 // outputs
    if bits not in BITS or zeros.shape[0] != groups or zeros.shape[1] * 32 != outputs * bits:
        return unknown("GPTQ or AWQ", parts, f"its zero points have a shape that is not documented; {HELP}")
    if words.shape[1] == outputs and config.get("quant_method", "gptq") != "awq":
        return _gptq(parts, bits, config)
    if words.shape[1] == zeros.shape[1] and bits == 4:
        return _awq(parts, words.shape[0])
    return unknown("GPTQ or AWQ", parts, f"its parts have shapes that are not documented; {HELP}")


def _gptq(parts: Parts, bits: int, config: dict[str, Any]) -> PackedTensor:
    words, scales = parts["qweight"], parts["scales"]
    groups, outputs = scales.shape
    inputs = words.shape[0] * 32 // bits
    if words.shape[0] % (bits if bits == 3 else 1):
        return unknown("GPTQ, 3 bits", parts, f"its words are no multiple of three; {HELP}")
    scheme = f"GPTQ, {bits} bits"
    form = config.get("checkpoint_format", "gptq")
    if form not in ("gptq", "gptq_v2"):
        return unknown(scheme, parts, f"its checkpoint_format is {str(form)[:40]}; {HELP}")
    index = parts.get("g_idx")
    if (index is not None and index.shape != (inputs,)) or (index is None and inputs % groups):
        return unknown(scheme, parts, f"its groups don't divide its {inputs} inputs; {HELP}")

    def unpack() -> Iterator[np.ndarray[Any, Any]]:
        import numpy as np

        group = np.arange(inputs) // (inputs // groups) if index is None else index.numpy().astype("<i8")
        _check_groups(group, groups)
        zeros = unpacked(parts["qzeros"].numpy(), bits)
        if form == "gptq":
            zeros = (zeros + 1) & ((1 << bits) - 1)
        step = rows_at_once(inputs)
        for row in range(0, outputs, step):
            last = min(row + step, outputs)
            numbers = unpacked(columns_of(words, row, last).T, bits)
            scale = columns_of(scales, row, last).astype("<f4")
            yield ((numbers - zeros[group, row:last].T) * scale[group].T).astype("<f4").reshape(-1)

    return packed(scheme, scales.dtype, (outputs, inputs), parts, unpack)


def _awq(parts: Parts, inputs: int) -> PackedTensor:
    words, zeros, scales = parts["qweight"], parts["qzeros"], parts["scales"]
    groups, outputs = scales.shape
    if inputs % groups or outputs % 8:
        return unknown("AWQ, 4 bits", parts, f"its {groups} groups don't divide its {inputs} inputs; {HELP}")

    def unpack() -> Iterator[np.ndarray[Any, Any]]:
        import numpy as np

        def in_order(words: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            numbers = unpacked(words, 4).reshape(len(words), -1, 8)
            return numbers[..., np.argsort(AWQ_ORDER)].reshape(len(words), -1)

        group = np.arange(inputs) // (inputs // groups)
        step = max(8, rows_at_once(inputs) // 8 * 8)
        for row in range(0, outputs, step):
            last = min(row + step, outputs)
            numbers = in_order(columns_of(words, row // 8, last // 8))
            zero = in_order(columns_of(zeros, row // 8, last // 8))
            scale = columns_of(scales, row, last).astype("<f4")
            yield ((numbers - zero[group]) * scale[group]).T.astype("<f4").reshape(-1)

    return packed("AWQ, 4 bits", scales.dtype, (outputs, inputs), parts, unpack)


def _check_groups(group: np.ndarray[Any, Any], groups: int) -> None:
    if group.size and (group.min() < 0 or group.max() >= groups):
        raise FormatError("A GPTQ weight names a group of inputs that has no scale.", maybe="the file is damaged")


def pack_quantized(name: str, parts: Parts) -> PackedTensor:
    """A weight of compressed-tensors' `pack-quantized` format, symmetric, of 4 or 8 bits."""
    words, scales, size = parts["weight_packed"], parts["weight_scale"], parts["weight_shape"]
    scheme = "compressed-tensors, pack-quantized"
    shape = tuple(int(number) for number in size.numpy().reshape(-1)) if size.numel == 2 else ()
    if (
        len(shape) != 2
        or len(words.shape) != 2
        or len(scales.shape) != 2
        or "weight_zero_point" in parts
        or "weight_g_idx" in parts
    ):
        return unknown(scheme, parts, f"it has zero points or an order of its own; {HELP}")
    outputs, inputs = shape
    bits = next((bits for bits in (4, 8) if words.shape == (outputs, -(-inputs * bits // 32))), 0)
    if not bits or scales.shape[0] != outputs or not scales.shape[1] or inputs % scales.shape[1]:
        return unknown(scheme, parts, f"its parts have shapes that are not documented; {HELP}")

    def unpack() -> Iterator[np.ndarray[Any, Any]]:
        import numpy as np

        step = rows_at_once(inputs)
        for row in range(0, outputs, step):
            last = min(row + step, outputs)
            numbers = unpacked(rows_of(words, row, last), bits)[:, :inputs] - (1 << (bits - 1))
            scale = np.repeat(rows_of(scales, row, last).astype("<f4"), inputs // scales.shape[1], axis=1)
            yield (numbers * scale).astype("<f4").reshape(-1)

    return packed(scheme, scales.dtype if scales.dtype.kind == "f" else BFLOAT16, shape, parts, unpack)
