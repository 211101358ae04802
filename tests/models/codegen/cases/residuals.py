"""Blocks that differ in numbers, and in one module that some lack, are one class."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Residual(nn.Module):
    def __init__(self, width: int, out: int, scale: float) -> None:
        super().__init__()
        self.fc = nn.Linear(width, out)
        self.shortcut = nn.Linear(width, out, bias=False) if width != out else None
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        out = torch.relu(self.fc(x)) * self.scale
        return out + identity


@program(x(2, 4), dynamic=BATCH)
class Residuals(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Residual(4, 4, 1.5), Residual(4, 8, 0.5), Residual(8, 8, 1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Residual(nn.Module):
    def __init__(self, in_features, out_features, scale, shortcut=False):
        super().__init__()
        self.scale = scale
        self.fc = nn.Linear(in_features, out_features)
        self.shortcut = nn.Linear(in_features, out_features, bias=False) if shortcut else None

    def forward(self, x):
        identity = x if self.shortcut is None else self.shortcut(x)
        out = F.relu(self.fc(x)) * self.scale
        return out + identity


class Residuals(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            Residual(4, 4, 1.5), Residual(4, 8, 0.5, shortcut=True), Residual(8, 8, 1.5)
        )

    def forward(self, x):
        return self.blocks(x)
