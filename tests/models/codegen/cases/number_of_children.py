"""Instances of one class differ in the number of their layers, down to none."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Stage(nn.Module):
    def __init__(self, width: int, n: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n))
        self.norm = nn.LayerNorm(width) if n > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x)) + x
        if self.norm is not None:
            x = self.norm(x)
        return x


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Stage(4, 1)
        self.b = Stage(4, 3)
        self.c = Stage(4, 2)
        self.d = Stage(4, 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.d(self.c(self.b(self.a(x))))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Stage(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, x):
        x = F.relu(self.layers[0](x)) + x
        return x


class Stage2(nn.Module):
    def __init__(self, linear=False):
        super().__init__()
        layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        if linear:
            layers.append(nn.Linear(4, 4))
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x)) + x
        x = self.norm(x)
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Stage()
        self.b = Stage2(linear=True)
        self.c = Stage2()
        self.d = nn.ModuleDict({"layers": nn.Identity()})

    def forward(self, x):
        return self.c(self.b(self.a(x)))
