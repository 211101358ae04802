"""A module that is called in two ways gets a second method, `forward_2`."""

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
class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def forward(self, x: Tensor) -> Tensor:
        out = self.gate(x)
        return self.gate(out, x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, other=None):
        gate = flow.sigmoid(self.fc(x))
        if other is None:
            other = x
        return gate * other


class CalledTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate()

    def forward(self, x):
        out = self.gate(x)
        return self.gate(out, x)
