"""A tensor that is filled piece by piece: writes into pieces are assignments."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(3, 4), dynamic=BATCH)
class WritesIntoNew(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[:, :2] = x[:, 2:]
        out[:, 2:] = x[:, :2] * 2
        out[0] += 1
        return out


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class WritesIntoNew(nn.Module):
    def forward(self, x):
        out = flow.zeros_like(x)
        out[:, :2] = x[:, 2:]
        out[:, 2:] = x[:, :2] * 2
        out[0] = out[0] + 1
        return out
