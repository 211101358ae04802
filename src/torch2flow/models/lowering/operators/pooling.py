"""Pooling and padding."""

from __future__ import annotations

import math

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.max_pool1d")
def max_pool1d(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not stride:
        return F.max_pool1d(self, kernel_size, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    return F.max_pool1d(self, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@operator("aten.max_pool2d")
def max_pool2d(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not stride:
        return F.max_pool2d(self, kernel_size, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    return F.max_pool2d(self, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@operator("aten.max_pool3d")
def max_pool3d(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not stride:
        return F.max_pool3d(self, kernel_size, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    return F.max_pool3d(self, kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@operator("aten.max_pool1d_with_indices")
def max_pool1d_with_indices(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not stride:
        return F.max_pool1d(
            self, kernel_size, padding=padding, dilation=dilation, return_indices=True, ceil_mode=ceil_mode
        )
    return F.max_pool1d(
        self, kernel_size, stride=stride, padding=padding, dilation=dilation, return_indices=True, ceil_mode=ceil_mode
    )


@operator("aten.max_pool2d_with_indices")
def max_pool2d_with_indices(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not stride:
        return F.max_pool2d(
            self, kernel_size, padding=padding, dilation=dilation, return_indices=True, ceil_mode=ceil_mode
        )
    return F.max_pool2d(
        self, kernel_size, stride=stride, padding=padding, dilation=dilation, return_indices=True, ceil_mode=ceil_mode
    )


@operator("aten.max_pool3d_with_indices")
def max_pool3d_with_indices(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not stride:
        return F.max_pool3d(
            self, kernel_size, padding=padding, dilation=dilation, return_indices=True, ceil_mode=ceil_mode
        )
    return F.max_pool3d(
        self, kernel_size, stride=stride, padding=padding, dilation=dilation, return_indices=True, ceil_mode=ceil_mode
    )


@operator("aten.avg_pool1d")
def avg_pool1d(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    if not stride:
        return F.avg_pool1d(
            self, kernel_size, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
        )
    return F.avg_pool1d(
        self, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
    )


@operator("aten.avg_pool2d")
def avg_pool2d(
    self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    if divisor_override is not None and not stride:
        return F.avg_pool2d(
            self,
            kernel_size,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )
    if divisor_override is not None:
        return F.avg_pool2d(
            self,
            kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )
    if not stride:
        return F.avg_pool2d(
            self, kernel_size, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
        )
    return F.avg_pool2d(
        self, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
    )


@operator("aten.avg_pool3d")
def avg_pool3d(
    self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    if divisor_override is not None and not stride:
        return F.avg_pool3d(
            self,
            kernel_size,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )
    if divisor_override is not None:
        return F.avg_pool3d(
            self,
            kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )
    if not stride:
        return F.avg_pool3d(
            self, kernel_size, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
        )
    return F.avg_pool3d(
        self, kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad
    )


@operator("aten.adaptive_avg_pool1d")
def adaptive_avg_pool1d(self, output_size):
    if self.ndim == 2:
        return F.adaptive_avg_pool1d(self.unsqueeze(0), output_size).squeeze(0)
    return F.adaptive_avg_pool1d(self, output_size)


@operator("aten.adaptive_avg_pool2d", "aten._adaptive_avg_pool2d")
def adaptive_avg_pool2d(self, output_size):
    if self.ndim == 3:
        return F.adaptive_avg_pool2d(self.unsqueeze(0), output_size).squeeze(0)
    return F.adaptive_avg_pool2d(self, output_size)


@operator("aten.adaptive_avg_pool3d", "aten._adaptive_avg_pool3d")
def adaptive_avg_pool3d(self, output_size):
    if self.ndim == 4:
        return F.adaptive_avg_pool3d(self.unsqueeze(0), output_size).squeeze(0)
    return F.adaptive_avg_pool3d(self, output_size)


@operator("aten.adaptive_max_pool1d")
def adaptive_max_pool1d(self, output_size):
    if self.ndim == 2:
        return largest_of_one(F.adaptive_max_pool1d, self, output_size)
    return F.adaptive_max_pool1d(self, output_size, True)


@operator("aten.adaptive_max_pool2d")
def adaptive_max_pool2d(self, output_size):
    if self.ndim == 3:
        return largest_of_one(F.adaptive_max_pool2d, self, output_size)
    return F.adaptive_max_pool2d(self, output_size, True)


@operator("aten.adaptive_max_pool3d")
def adaptive_max_pool3d(self, output_size):
    if self.ndim == 4:
        return largest_of_one(F.adaptive_max_pool3d, self, output_size)
    return F.adaptive_max_pool3d(self, output_size, True)


@helper
def largest_of_one(pool, x, output_size):
    """Adaptive max pooling of one sample without a batch dimension."""
    values, indices = pool(x.unsqueeze(0), output_size, True)
    return values.squeeze(0), indices.squeeze(0)


@operator("aten.max_unpool2d")
def max_unpool2d(self, indices, output_size):
    return spread_to(self, indices, output_size, 2)


@operator("aten.max_unpool3d")
def max_unpool3d(self, indices, output_size, stride, padding):
    return spread_to(self, indices, output_size, 3)


@helper
def spread_to(x, indices, size, count):
    """PyTorch's `max_unpool`: each value at its index in a plane of zeros."""
    size = [size] * count if isinstance(size, int) else size
    outer = x.shape[: x.ndim - len(size)]
    plane = flow.zeros((*outer, math.prod(size)), dtype=x.dtype, device=x.device)
    return flow.scatter(plane, -1, indices.reshape(*outer, -1), x.reshape(*outer, -1)).reshape(*outer, *size)


@operator("aten.constant_pad_nd")
def constant_pad_nd(self, pad, value=0):
    if value == 0:
        return F.pad(self, pad)
    return F.pad(self, pad, value=value)


@operator("aten.pad", restriction="no circular padding that also cuts")
def pad_(self, pad, mode="constant", value=None):
    if mode == "constant" and not value:
        return F.pad(self, pad)
    if mode == "constant":
        return F.pad(self, pad, value=value)
    return pad_by_index(self, pad, mode)


@operator("aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d")
def reflection_pad(self, padding):
    return pad_by_index(self, padding, "reflect")


@operator("aten.replication_pad1d", "aten.replication_pad2d", "aten.replication_pad3d")
def replication_pad(self, padding):
    return pad_by_index(self, padding, "replicate")


@operator("aten._pad_circular", restriction="no padding that also cuts")
def circular_pad(self, pad):
    return pad_by_index(self, pad, "circular")


@helper
def pad_by_index(x, pad, mode):
    """Padding by reflection, replication or in a circle, in any number of dimensions; OneFlow 0.9.0 has a few only."""
    for place in range(len(pad) // 2):
        dim = x.ndim - 1 - place
        size = x.shape[dim]
        index = flow.arange(-pad[2 * place], size + pad[2 * place + 1], device=x.device)
        if mode == "reflect":
            index = (size - 1) - flow.abs((size - 1) - flow.abs(index))
        elif mode == "replicate":
            index = flow.clamp(index, min=0, max=size - 1)
        else:
            index = flow.fmod(index + size, size)
        x = flow.index_select(x, dim, index)
    return x
