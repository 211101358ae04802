"""A list of skip connections is filled on the way down and read in reverse on the way up."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Down(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, c * 2, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.conv(x))
        return self.pool(x), x


class Up(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(c, c, 2, stride=2)
        self.conv = nn.Conv2d(c * 2, c // 2, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.relu(self.conv(torch.cat([self.up(x), skip], 1)))


@program(x(2, 2, 16, 16), dynamic=BATCH)
class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.downs = nn.ModuleList(Down(2 * 2**i) for i in range(3))
        self.ups = nn.ModuleList(Up(16 // 2**i) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for down in self.downs:
            x, skip = down(x)
            skips.append(skip)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x, skip)
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Down(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.pool(x), x


class Up(nn.Module):
    def __init__(self, in_channels, conv_in_channels, out_channels):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, in_channels, 2, stride=2)
        self.conv = nn.Conv2d(conv_in_channels, out_channels, 3, padding=1)

    def forward(self, x, skip):
        return F.relu(self.conv(flow.cat((self.up(x), skip), dim=1)))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.downs = nn.ModuleList([Down(2, 4), Down(4, 8), Down(8, 16)])
        self.ups = nn.ModuleList([Up(16, 32, 8), Up(8, 16, 4), Up(4, 8, 2)])

    def forward(self, x):
        x, skip = self.downs[0](x)
        x, skip_2 = self.downs[1](x)
        x, skip_3 = self.downs[2](x)
        x = self.ups[0](x, skip_3)
        x = self.ups[1](x, skip_2)
        x = self.ups[2](x, skip)
        return x
