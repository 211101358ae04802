"""An argument that equals its default is written where another module of the class is given another value."""

import torch
import torch.nn.functional as F
from programs import program, x
from torch import Tensor, nn


class StandardizedConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        weight = (self.weight - mean) / (self.weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Pool(nn.Module):
    def __init__(self, ceil: bool = False, pad: int = 0) -> None:
        super().__init__()
        self.ceil, self.pad = ceil, pad

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, self.pad, ceil_mode=self.ceil)


class Resize(nn.Module):
    def __init__(self, corners: bool) -> None:
        super().__init__()
        self.corners = corners

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=self.corners)


class Linear(nn.Module):
    """Only one of them has a bias, and it has no other call for it."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.bias = nn.Parameter(torch.randn(4)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(x.flatten(2), self.weight[:, :, None], self.bias)


class Mean(nn.Module):
    """Too little is in common to be one class, so each keeps its own."""

    def __init__(self, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial

    def forward(self, x: Tensor) -> Tensor:
        if self.spatial:
            return x.mean(dim=(2, 3))
        y = x.mean(dim=1)
        return y.sigmoid() * y + y.tanh()


@program(x(2, 3, 21, 21), dynamic={0: ("batch",)})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = StandardizedConv2d(3, 8, 3, padding=1)
        self.b = StandardizedConv2d(8, 8, 3, stride=2, padding=1, groups=4)
        self.c = StandardizedConv2d(8, 4, (1, 3), stride=(1, 2), padding=(0, 1), bias=False)
        self.pools = nn.ModuleList([Pool(), Pool(pad=1), Pool(True)])
        self.larger = nn.ModuleList([Resize(False), Resize(True)])
        self.means = nn.ModuleList([Mean(True), Mean(False)])
        self.last = nn.ModuleList([Linear(True), Linear(False)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.c(self.b(self.a(x)))
        pooled = [pool(y) for pool in self.pools]
        large = [resize(y) for resize in self.larger]
        return *pooled, *large, *[mean(y) for mean in self.means], *[last(y) for last in self.last]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def root_of_variance(variance):
    """A standard deviation, whose gradient is 0 where all values are equal; that of OneFlow's `std` is NaN."""
    varies = variance != 0
    return flow.sqrt(flow.where(varies, variance, flow.ones_like(variance))) * varies.to(
        variance.dtype
    )


class StandardizedConv2d(nn.Module):
    def __init__(self, out_channels, size, size_2, stride, padding, groups, bias=True):
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.groups = groups
        self.weight = nn.Parameter(flow.zeros(out_channels, size, size_2, 3))
        self.bias = nn.Parameter(flow.zeros(8)) if bias else None

    def forward(self, x):
        mean = self.weight.mean(dim=(1, 2, 3), keepdim=True)
        weight = (self.weight - mean) / (
            root_of_variance(self.weight.var(dim=(1, 2, 3), keepdim=True)) + 1e-05
        )
        return F.conv2d(
            x, weight, bias=self.bias, stride=self.stride, padding=self.padding, groups=self.groups
        )


class Pool(nn.Module):
    def __init__(self, pad, ceil):
        super().__init__()
        self.pad = pad
        self.ceil = ceil

    def forward(self, x):
        return F.max_pool2d(x, 3, stride=2, padding=self.pad, ceil_mode=self.ceil)


class Resize(nn.Module):
    def __init__(self, corners):
        super().__init__()
        self.corners = corners

    def forward(self, x):
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=self.corners)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))


class Mean2(nn.Module):
    def forward(self, x):
        y = x.mean(dim=(1,))
        return flow.sigmoid(y) * y + flow.tanh(y)


class Linear(nn.Module):
    def __init__(self, bias=False):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4))
        self.bias = nn.Parameter(flow.zeros(4)) if bias else None

    def forward(self, x):
        return F.conv1d(x.flatten(2), self.weight.unsqueeze(2), bias=self.bias)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = StandardizedConv2d(8, 3, 3, 1, 1, 1)
        self.b = StandardizedConv2d(8, 2, 3, 2, 1, 4)
        self.c = StandardizedConv2d(4, 8, 1, (1, 2), (0, 1), 1, bias=False)
        self.pools = nn.ModuleList([Pool(0, False), Pool(1, False), Pool(0, True)])
        self.larger = nn.ModuleList([Resize(False), Resize(True)])
        self.means = nn.ModuleList([Mean(), Mean2()])
        self.last = nn.ModuleList([Linear(bias=True), Linear()])

    def forward(self, x):
        y = self.c(self.b(self.a(x)))
        return (
            self.pools[0](y),
            self.pools[1](y),
            self.pools[2](y),
            self.larger[0](y),
            self.larger[1](y),
            self.means[0](y),
            self.means[1](y),
            self.last[0](y),
            self.last[1](y),
        )
