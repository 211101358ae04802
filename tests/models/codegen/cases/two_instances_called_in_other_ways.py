"""Two instances of one class, each called in two ways, in another order."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, scale: Tensor | float | None = None) -> Tensor:
        x = torch.tanh(self.fc(x))
        return x if scale is None else x * scale


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Block()
        self.b = Block()

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x = self.b(x, x)
        x = self.a(x, 3.0)
        return self.b(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = flow.tanh(self.fc(x))
        return x

    def forward_2(self, x):
        x = flow.tanh(self.fc(x))
        return x * 3.0


class Block2(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, scale=None):
        x = flow.tanh(self.fc(x))
        return x if scale is None else x * scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Block()
        self.b = Block2()

    def forward(self, x):
        x = self.a(x)
        x = self.b(x, x)
        x = self.a.forward_2(x)
        return self.b(x)
