"""Modules in a Python list and dict, which PyTorch does not know of: what they compute stands where they are called."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Act(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x) * 2


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.acts = [Act(), nn.ReLU(), nn.LayerNorm(4, elementwise_affine=False)]
        self.table = {"a": Act()}

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        for a in self.acts:
            x = a(x)
        return self.table["a"](x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = self.fc(x)
        out = flow.tanh(F.layer_norm(F.relu(flow.tanh(x) * 2), (4,)))
        return out * 2
