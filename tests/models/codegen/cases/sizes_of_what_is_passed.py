"""A module that reads nothing but the sizes of its argument is given that argument, and no other of the same size."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Positions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(20.0).reshape(5, 4))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.table[: hidden.shape[1]].expand(hidden.shape[0], -1, -1).sin()


@program(x(2, 10, 4), dynamic=BATCH)
class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.halve = nn.Conv1d(10, 5, 1)
        self.positions = Positions()

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.halve(features)
        hidden = hidden * 2
        positions = self.positions(hidden)
        return hidden + positions


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", flow.zeros(5, 4))

    def forward(self, hidden):
        return flow.sin(self.table[:5].expand(hidden.shape[0], -1, -1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.halve = nn.Conv1d(10, 5, 1)
        self.positions = Positions()

    def forward(self, features):
        hidden = self.halve(features)
        hidden = hidden * 2
        positions = self.positions(hidden)
        return hidden + positions
