"""A buffer that becomes another tensor in each call: the gradient is that of what it held before."""

import torch
from programs import program, x
from torch import Tensor, nn


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.back = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.fc(x) + self.back * h)


@program(x(2, 4))
class KeepsItsState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("h", torch.ones(2, 4))
        self.cell = Cell()

    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.h)
        return self.h * 2


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.back = nn.Parameter(flow.zeros(4))
        self.fc = nn.Linear(4, 4)

    def forward(self, x, h):
        return flow.tanh(self.fc(x) + self.back * h.clone())


class KeepsItsState(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("h", flow.zeros(2, 4))
        self.cell = Cell()

    def forward(self, x):
        cell = self.cell(x, self.h)
        out = cell * 2
        self.h.copy_(cell)
        return out
