"""A child that some blocks lack, and an argument of the constructor that says so."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, width: int, use_gate: bool, drop: float) -> None:
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.gate = nn.Linear(width, width) if use_gate else None
        self.drop = nn.Dropout(drop) if drop else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.fc(x)
        if self.gate is not None:
            out = out * torch.sigmoid(self.gate(x))
        return x + self.drop(out)


@program(x(2, 4), dynamic=BATCH)
class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(4, i % 2 == 1, 0.1 * i) for i in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Block(nn.Module):
    def __init__(self, gate=False, dropout=True, p=0.5):
        super().__init__()
        self.dropout = dropout
        self.fc = nn.Linear(4, 4)
        self.gate = nn.Linear(4, 4) if gate else None
        self.drop = nn.Dropout(p=p) if dropout else nn.Identity()

    def forward(self, x):
        out = self.fc(x)
        if self.gate is not None:
            out = out * flow.sigmoid(self.gate(x))
        if self.dropout:
            return x + self.drop(out)
        return x + out


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                Block(dropout=False),
                Block(gate=True, p=0.1),
                Block(p=0.2),
                Block(gate=True, p=0.30000000000000004),
            ]
        )

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
