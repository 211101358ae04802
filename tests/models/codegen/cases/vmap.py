"""A layer that `torch.vmap` calls for each sample becomes operators on all samples."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH)
class Mapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.experts = nn.Parameter(torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.vmap(self.fc)(x)
        return torch.vmap(lambda expert: x @ expert)(self.experts)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, x):
        out = flow.matmul(x.unsqueeze(1), self.weight.t()).squeeze((1,))
        return out + self.bias


class Mapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.Parameter(flow.zeros(3, 4, 4))
        self.fc = Linear()

    def forward(self, x):
        x = self.fc(x)
        return flow.matmul(x, self.experts)
