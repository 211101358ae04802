"""A float16 model, which OneFlow's CPU has no kernels for."""

import torch
from programs import program, x
from torch import Tensor, nn


@program(x(2, 4).half(), gradients=False)
class Float16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.half()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.fc(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Float16(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.to(flow.float16)

    def forward(self, x):
        return F.relu(self.fc(x))
