"""Parameters that are frozen stay frozen."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.head = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.full((4,), 0.5), requires_grad=False)
        self.shift = nn.Parameter(torch.zeros(4))
        self.stem.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x)) * self.scale + self.shift


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(flow.zeros(4), requires_grad=False)
        self.shift = nn.Parameter(flow.zeros(4))
        self.stem = nn.Linear(4, 4)
        self.head = nn.Linear(4, 4)
        self.stem.requires_grad_(False)

    def forward(self, x):
        return self.head(self.stem(x)) * self.scale + self.shift
