"""Blocks are built with layers that other blocks have too: the parameters are tied."""

from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, norm: nn.Module, fc: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.fc = fc

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(x)) + x


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        norm, fc = nn.LayerNorm(4), nn.Linear(4, 4)
        self.blocks = nn.ModuleList([Block(norm, fc), Block(norm, nn.Linear(4, 4)), Block(nn.LayerNorm(4), fc)])
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        for b in self.blocks:
            x = b(x)
        return self.norm(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(self.norm(x)) + x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.norm = nn.LayerNorm(4)
        self.blocks[1].norm.weight = self.blocks[0].norm.weight
        self.blocks[1].norm.bias = self.blocks[0].norm.bias
        self.blocks[2].fc.weight = self.blocks[0].fc.weight
        self.blocks[2].fc.bias = self.blocks[0].fc.bias
        self.norm.weight = self.blocks[0].norm.weight
        self.norm.bias = self.blocks[0].norm.bias

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
