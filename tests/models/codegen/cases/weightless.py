"""A model without weights is its `forward`."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH, gradients=False)
class Weightless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) + 1


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Weightless(nn.Module):
    def forward(self, x):
        return F.relu(x) + 1
