"""Numbers that are rounded as a quantised tensor would hold them, and stay floats."""

from torch2flow.models.lowering.lazy import flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.fake_quantize_per_channel_affine")
def fake_quantize_per_channel_affine(self, scale, zero_point, axis, quant_min, quant_max):
    shape = [-1 if place == axis % self.ndim else 1 for place in range(self.ndim)]
    return fake_quantized(self, scale.reshape(shape), zero_point.reshape(shape), quant_min, quant_max)


@operator("aten.fake_quantize_per_tensor_affine")
@helper
def fake_quantized(self, scale, zero_point, quant_min, quant_max):
    """PyTorch's `fake_quantize`: its gradient is 1 between the smallest and the largest number, and 0 beyond."""
    steps = flow.round(self * (1 / scale)) + zero_point
    inside = flow.logical_and(steps >= quant_min, steps <= quant_max).to(self.dtype)
    kept = self * inside
    return kept + ((flow.clamp(steps, quant_min, quant_max) - zero_point) * scale - kept).detach()
