"""One module under two names, and three times in a list: there is one set of keys for each place, and all are tied."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        gate = torch.sigmoid(self.fc(x))
        return gate * x if other is None else gate * other


@program(x(2, 4), dynamic=BATCH)
class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.layers = nn.ModuleList([Gate()] * 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(torch.relu(self.first(x)))
        for layer in self.layers:
            x = layer(x)
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        gate = flow.sigmoid(self.fc(x))
        return gate * x


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.layers = nn.ModuleList([Gate() for _ in range(3)])
        self.second.weight = self.first.weight
        self.second.bias = self.first.bias
        self.layers[1].fc.weight = self.layers[0].fc.weight
        self.layers[1].fc.bias = self.layers[0].fc.bias
        self.layers[2].fc.weight = self.layers[0].fc.weight
        self.layers[2].fc.bias = self.layers[0].fc.bias

    def forward(self, x):
        x = self.second(F.relu(self.first(x)))
        for layer in self.layers:
            x = layer(x)
        return x
