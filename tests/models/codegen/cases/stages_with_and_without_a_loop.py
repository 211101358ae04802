"""Stages whose blocks are added in a loop, of which one has a single block."""

from programs import program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


class Stage(nn.Module):
    def __init__(self, depth: int, channels: int, out: int) -> None:
        super().__init__()
        for number in range(depth):
            block = Block(out, out, 1) if number else Block(channels, out, 2)
            self.add_module(f"b{number + 1}", block)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


@program(x(2, 3, 16, 16), dynamic={0: ("batch", None, None, None)})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Stage(1, 3, 4)
        self.second = Stage(4, 4, 6)
        self.third = Stage(6, 6, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x)))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Block(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Stage(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1 = Block(3, 4, stride=2)

    def forward(self, x):
        x = self.b1(x)
        return x


class Stage2(nn.Module):
    def __init__(self, in_channels, out_channels, depth):
        super().__init__()
        self.b1 = Block(in_channels, out_channels, stride=2)
        for i in range(depth):
            self.add_module(f"b{i + 2}", Block(out_channels, out_channels))

    def forward(self, x):
        for b in self.children():
            x = b(x)
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Stage()
        self.second = Stage2(4, 6, 3)
        self.third = Stage2(6, 8, 5)

    def forward(self, x):
        return self.third(self.second(self.first(x)))
