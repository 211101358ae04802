"""An argument that a module is given in some calls alone tells no modules apart: the constructor's arguments do."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Layer(nn.Module):
    def __init__(self, norm: bool, double: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm, self.double = norm, double

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        x = torch.tanh(self.fc(x))
        if self.double:
            x = 2 * x
        if other is None:
            other = torch.relu(x)
        x = torch.sin(x + other)
        if self.norm:
            x = x / x.norm()
        return torch.cos(x)


@program(x(2, 4), dynamic=BATCH)
class ArgumentsThatSomeCallsGive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = Layer(False, False), Layer(True, False), Layer(False, True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(self.one(x), x)
        y = self.two(self.two(y, x))
        return self.three(y, x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Layer(nn.Module):
    def __init__(self, with_x=False, norm=False):
        super().__init__()
        self.with_x = with_x
        self.norm = norm
        self.fc = nn.Linear(4, 4)

    def forward(self, x, other=None):
        x = flow.tanh(self.fc(x))
        if self.with_x:
            x = x * 2
        elif other is None:
            other = F.relu(x)
        x = flow.sin(x + other)
        if self.norm:
            x = x / flow.linalg.vector_norm(x, dim=(0, 1))
        return flow.cos(x)


class ArgumentsThatSomeCallsGive(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = Layer()
        self.two = Layer(norm=True)
        self.three = Layer(with_x=True)

    def forward(self, x):
        y = self.one(self.one(x), x)
        y = self.two(y, x)
        y = self.two(y)
        return self.three(y, x)
