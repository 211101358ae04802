"""Fake quantisation as the formula that it stands for.

PyTorch can't export one whose scale is a tensor, and computes it in float32 also for float64.
"""

from __future__ import annotations

import contextlib
from typing import Any

from torch2flow.runtime.replaced_attributes import replaced_attributes


def quantised_by_formula(torch: Any, exactly: bool = False) -> contextlib.AbstractContextManager[None]:
    """Fake quantisation by a scale that is a tensor is its formula, with its gradient; or any, for float64.

    Source: `aten/src/ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp` of PyTorch, fake_quantize_tensor.
    """
    of_tensors, of_channels = torch.fake_quantize_per_tensor_affine, torch.fake_quantize_per_channel_affine

    def quantised(input: Any, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Any:
        steps = torch.round(input * (1 / scale)) + zero_point
        kept = input * ((steps >= quant_min) & (steps <= quant_max))
        return kept + ((steps.clamp(quant_min, quant_max) - zero_point) * scale - kept).detach()

    def per_tensor(input: Any, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Any:
        formula = exactly or isinstance(scale, torch.Tensor)
        return (quantised if formula else of_tensors)(input, scale, zero_point, quant_min, quant_max)

    def per_channel(input: Any, scale: Any, zero_point: Any, axis: int, quant_min: int, quant_max: int) -> Any:
        if not exactly:
            return of_channels(input, scale, zero_point, axis, quant_min, quant_max)
        shape = [-1 if place == axis % input.ndim else 1 for place in range(input.ndim)]
        return quantised(input, scale.reshape(shape), zero_point.reshape(shape), quant_min, quant_max)

    return replaced_attributes(
        (torch, "fake_quantize_per_tensor_affine", per_tensor), (torch, "fake_quantize_per_channel_affine", per_channel)
    )
