"""Items of an nn.Sequential that some blocks lack: the expansion, and squeeze-and-excitation."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, 2, 1)
        self.fc2 = nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return torch.sigmoid(self.fc2(scale)) * x


class InvertedResidual(nn.Module):
    def __init__(self, channels: int, expanded: int, use_se: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if expanded != channels:
            layers += [nn.Conv2d(channels, expanded, 1), nn.ReLU()]
        layers.append(nn.Conv2d(expanded, expanded, 3, padding=1, groups=expanded))
        if use_se:
            layers.append(SqueezeExcitation(expanded))
        layers.append(nn.Conv2d(expanded, channels, 1))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


@program(x(2, 4, 6, 6), dynamic=BATCH)
class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            InvertedResidual(4, 4, True), InvertedResidual(4, 8, False), InvertedResidual(4, 8, True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class SqueezeExcitation(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.fc1 = nn.Conv2d(in_channels, 2, 1)
        self.fc2 = nn.Conv2d(2, in_channels, 1)

    def forward(self, x):
        scale = F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))
        return flow.sigmoid(self.fc2(scale)) * x


class InvertedResidual(nn.Module):
    def __init__(self, in_channels, conv2d=True, squeeze_excitation=True):
        super().__init__()
        block = []
        if conv2d:
            block.append(nn.Conv2d(4, 8, 1))
        if conv2d:
            block.append(nn.ReLU())
        block.append(nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels))
        if squeeze_excitation:
            block.append(SqueezeExcitation(in_channels))
        block.append(nn.Conv2d(in_channels, 4, 1))
        self.block = nn.Sequential(*block)

    def forward(self, x):
        return x + self.block(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            InvertedResidual(4, conv2d=False),
            InvertedResidual(8, squeeze_excitation=False),
            InvertedResidual(8),
        )

    def forward(self, x):
        return self.features(x)
