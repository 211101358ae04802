"""Forward hooks change what a layer takes or gives: the layer becomes a class of its own."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.act = nn.ReLU()
        self.a.register_forward_hook(lambda m, i, o: o * 2 + i[0])
        self.act.register_forward_pre_hook(lambda m, i: (i[0] - 1,))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.act(self.a(x)))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input):
        return F.linear(input, self.weight, self.bias) * 2 + input


class ReLU(nn.Module):
    def forward(self, input):
        return F.relu(input - 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Linear()
        self.b = nn.Linear(4, 4)
        self.act = ReLU()

    def forward(self, x):
        act = self.act(self.a(x))
        return self.b(act)
