"""The `add` under `torch.no_grad()` is another value than the second `add_`, which PyTorch calls `add__1`."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH)
class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = x * 1.5
        y.add_(1.0)
        y.add_(x)
        with torch.no_grad():
            scale = x.abs().sum() + 1.0
        return self.fc(y) / scale


# -- becomes -------------------------------------------------------------------------------------------------


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = x * 1.5
        x_2 = y + 1.0 + x
        with flow.no_grad():
            scale = flow.abs(x).sum() + 1.0
        return self.fc(x_2) / scale
