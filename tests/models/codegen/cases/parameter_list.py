"""A list of parameters stays one, and a group norm without weights needs no class."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(3)])
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(1), requires_grad=False)])
        self.norm = nn.GroupNorm(2, 4, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = torch.tanh(x @ weight)
        return self.norm(x.unsqueeze(-1)).squeeze(-1) * self.scales[0] + self.scales[1]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(flow.zeros(4, 4)) for _ in range(3)])
        self.scales = nn.ParameterList([nn.Parameter(flow.zeros(4)), nn.Parameter(flow.zeros(1))])
        self.norm = nn.GroupNorm(2, 4, affine=False)
        self.scales[1].requires_grad_(False)

    def forward(self, x):
        x = flow.tanh(flow.matmul(x, self.weights[0]))
        x = flow.tanh(flow.matmul(x, self.weights[1]))
        x = flow.tanh(flow.matmul(x, self.weights[2]))
        return self.norm(x.unsqueeze(-1)).squeeze(-1) * self.scales[0] + self.scales[1]
