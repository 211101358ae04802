"""A layer that is made in two ways: the numbers of one way stay, also where the first module is made in the other."""

from programs import program, x
from torch import Tensor, nn


class ConvLayer(nn.Module):
    def __init__(self, channels: int, out: int, padded: bool, stride: int = 2, groups: int = 4) -> None:
        super().__init__()
        self.conv: nn.Module
        if padded:
            self.conv = nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(channels, out, 2))
        else:
            self.conv = nn.Conv2d(channels, out, 3, stride=stride, padding=1, groups=groups)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, channels: int, out: int, padded: bool) -> None:
        super().__init__()
        self.spatial = ConvLayer(channels, out, padded)
        self.point = nn.Conv2d(out, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.point(self.spatial(x).relu())


@program(x(2, 3, 9, 9), dynamic={0: ("batch", None, None, None)})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvLayer(3, 4, False, stride=1, groups=1)
        self.other = ConvLayer(4, 4, False, stride=1, groups=2)
        self.first = Block(4, 8, False)
        self.second = Block(8, 12, True)
        self.third = Block(12, 16, True)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(self.other(self.stem(x)))))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class ConvLayer(nn.Module):
    def __init__(self, in_channels, out_channels, conv2d=True, stride=1, groups=1):
        super().__init__()
        self.conv = (
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, groups=groups)
            if conv2d
            else nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(in_channels, out_channels, 2))
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, in_channels, out_channels, conv2d=False):
        super().__init__()
        self.spatial = ConvLayer(in_channels, out_channels, conv2d=conv2d, stride=2, groups=4)
        self.point = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x):
        return self.point(F.relu(self.spatial(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvLayer(3, 4)
        self.other = ConvLayer(4, 4, groups=2)
        self.first = Block(4, 8, conv2d=True)
        self.second = Block(8, 12)
        self.third = Block(12, 16)

    def forward(self, x):
        return self.third(self.second(self.first(self.other(self.stem(x)))))
