"""The same value is returned twice, beside an input as it came and a parameter."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        out = x + self.bias
        return out, x, out, self.bias


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class ReturnsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, x):
        out = x + self.bias
        return out, x, out, self.bias
