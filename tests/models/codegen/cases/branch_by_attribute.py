"""Blocks that take another branch by an attribute are one class with the author's `if`."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Layer(nn.Module):
    def __init__(self, width: int, is_decoder: bool) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.fc1(x)
        if self.is_decoder:
            out = out.flip(-1) * 0.5
        return x + self.fc2(torch.relu(out))


@program(x(2, 4), dynamic=BATCH)
class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(4, False), Layer(4, True), Layer(4, False), Layer(4, True)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Layer(nn.Module):
    def __init__(self, is_decoder=False):
        super().__init__()
        self.is_decoder = is_decoder
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, 4)

    def forward(self, x):
        out = self.fc1(x)
        if self.is_decoder:
            out = flow.flip(out, (-1,)) * 0.5
        return x + self.fc2(F.relu(out))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            [Layer(), Layer(is_decoder=True), Layer(), Layer(is_decoder=True)]
        )

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
