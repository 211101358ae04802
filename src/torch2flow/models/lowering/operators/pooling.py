"""Pooling and padding."""

import math

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator(
    "aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d",
    "aten.max_pool1d_with_indices", "aten.max_pool2d_with_indices", "aten.max_pool3d_with_indices",
)  # fmt: skip
def max_pool(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, name):
    options = {"return_indices": True} if name.endswith("_with_indices") else {}
    name = name.removesuffix("_with_indices")
    one = self.ndim == int(name[-2]) + 1  # a sample without a batch, for which OneFlow 0.9.0 ends the whole process
    pooled = getattr(F, name)(
        self.unsqueeze(0) if one else self, kernel_size, stride=stride or None, padding=padding, dilation=dilation,
        **options, ceil_mode=ceil_mode,
    )  # fmt: skip
    if one and options:
        return pooled[0].squeeze(0), pooled[1].squeeze(0)
    return pooled.squeeze(0) if one else pooled


@operator("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d")
def avg_pool(
    self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None, *, name
):
    options = {} if divisor_override is None else {"divisor_override": divisor_override}
    one = self.ndim == int(name[-2]) + 1
    pooled = getattr(F, name)(
        self.unsqueeze(0) if one else self, kernel_size, stride=stride or None, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad, **options,
    )  # fmt: skip
    return pooled.squeeze(0) if one else pooled


@operator(
    "aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d",
    "aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d",
)  # fmt: skip
def adaptive_avg_pool(self, output_size, *, name):
    pool = getattr(F, name.strip("_"))
    if self.ndim == int(name[-2]) + 1:
        return pool(self.unsqueeze(0), output_size).squeeze(0)
    return pool(self, output_size)


@operator("aten.adaptive_max_pool1d", "aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")
def adaptive_max_pool(self, output_size, *, name):
    pool = getattr(F, name)
    if self.ndim == int(name[-2]) + 1:
        return largest_of_one(pool, self, output_size)
    return pool(self, output_size, True)


@helper
def largest_of_one(pool, x, output_size):
    """Adaptive max pooling of one sample without a batch dimension."""
    values, indices = pool(x.unsqueeze(0), output_size, True)
    return values.squeeze(0), indices.squeeze(0)


@operator("aten.max_unpool2d", "aten.max_unpool3d")
def max_unpool(self, indices, output_size, stride=None, padding=None, *, name):
    return spread_to(self, indices, output_size if isinstance(output_size, tuple) else (output_size,) * int(name[-2]))


@helper
def spread_to(x, indices, size):
    """PyTorch's `max_unpool`: each value at its index in a plane of zeros."""
    outer = x.shape[: x.ndim - len(size)]
    plane = flow.zeros((*outer, math.prod(size)), dtype=x.dtype, device=x.device)
    return flow.scatter(plane, -1, indices.reshape(*outer, -1), x.reshape(*outer, -1)).reshape(*outer, *size)


@operator("aten.constant_pad_nd", "aten.pad", restriction="no circular padding that also cuts")
def pad_(self, pad, mode="constant", value=None):
    if mode != "constant":
        return pad_by_index(self, pad, mode)
    return F.pad(self, pad, value=value) if value else F.pad(self, pad)


@operator(
    "aten.reflection_pad1d", "aten.reflection_pad2d", "aten.reflection_pad3d",
    "aten.replication_pad1d", "aten.replication_pad2d", "aten.replication_pad3d",
)  # fmt: skip
def pad_by_edges(self, padding, *, name):
    return pad_by_index(self, padding, "reflect" if name.startswith("reflection") else "replicate")


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
