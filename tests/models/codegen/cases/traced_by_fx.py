"""A module that `torch.fx` traced: its code calls what lies deep inside."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4) * 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).relu() * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.shift = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x + self.shift)


@program(x(5, 4), dynamic=BATCH)
def traced() -> nn.Module:
    return torch.fx.symbolic_trace(Net())


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(flow.zeros(4))
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        fc = self.fc(x)
        fc = F.relu(fc)
        return fc * self.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(flow.zeros(4))
        self.blocks = nn.Sequential(*[Block() for _ in range(2)])

    def forward(self, x):
        x = x + self.shift
        return self.blocks(x)
