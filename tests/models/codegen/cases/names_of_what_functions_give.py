"""What a function of one call gives is called as its caller calls it, and not as PyTorch's `F.relu` does inside."""

import torch
import torch.nn.functional as F
from programs import BATCH, program, x
from torch import Tensor, nn


def squashed(x: Tensor) -> Tensor:
    out = torch.tanh(x)
    return out


@program(x(5, 4), dynamic=BATCH)
class NamesOfWhatFunctionsGive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.first(x))
        hidden = F.leaky_relu(self.second(x), 0.1)
        h = squashed(hidden)
        for layer in self.layers:
            h = F.relu(layer(h))
        weights = F.softmax(h, dim=-1)
        return weights * hidden, F.log_softmax(h + weights, dim=-1)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class NamesOfWhatFunctionsGive(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x):
        x = F.relu(self.first(x))
        hidden = F.leaky_relu(self.second(x), alpha=0.1)
        h = flow.tanh(hidden)
        for layer in self.layers:
            h = F.relu(layer(h))
        weights = F.softmax(h, dim=-1)
        return weights * hidden, F.log_softmax(h + weights, dim=-1)
