"""Lists of one name and of different lengths; residuals."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Stack(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList([PreNorm(6) for _ in range(count)])

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x) * scale
        return x


class PreNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x = self.norm(x)
        x = self.fc(x)
        return x + residual


@program(x(2, 6), dynamic=BATCH)
class Stacks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList([Stack(3), Stack(4), Stack(2)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x, torch.tensor(0.5))
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class PreNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.fc = nn.Linear(6, 6)

    def forward(self, x):
        residual = x
        x = self.norm(x)
        x = self.fc(x)
        return x + residual


class Stack(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.layer = nn.ModuleList([PreNorm() for _ in range(depth)])

    def forward(self, x):
        for block in self.layer:
            x = block(x) * flow.tensor(0.5, dtype=flow.float32, device=x.device)
        return x


class Stacks(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([Stack(3), Stack(4), Stack(2)])

    def forward(self, x):
        for block in self.layer:
            x = block(x)
        return x
