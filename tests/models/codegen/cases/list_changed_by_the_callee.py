"""A module appends to the list that it is given and returns nothing: its result is the new item."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Push(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, xs: list[Tensor]) -> None:
        xs.append(torch.tanh(self.fc(xs[-1])))


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Push() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        xs = [x]
        for layer in self.layers:
            layer(xs)
        return torch.cat(xs, 1)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Push(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, xs):
        return flow.tanh(self.fc(xs))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Push() for _ in range(3)])

    def forward(self, x):
        xs = self.layers[0](x)
        layer = self.layers[1](xs)
        return flow.cat((x, xs, layer, self.layers[2](layer)), dim=1)
