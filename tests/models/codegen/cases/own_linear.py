"""The author's class `Linear` is not taken for `nn.Linear`."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Linear(nn.Module):
    """Called as one of PyTorch's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width) * 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weight)


@program(x(2, 4), dynamic=BATCH)
class OwnLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own = Linear(4)
        self.theirs = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.theirs(self.own(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4))

    def forward(self, x):
        return flow.tanh(flow.matmul(x, self.weight))


class OwnLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = Linear()
        self.theirs = nn.Linear(4, 4)

    def forward(self, x):
        return self.theirs(self.own(x))
