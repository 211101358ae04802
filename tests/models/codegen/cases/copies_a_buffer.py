"""A copy of a buffer keeps what it held before a write; a copy of a buffer that nothing writes to is the buffer."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH, gradients=False)
class CopiesABuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(4))
        self.register_buffer("kept", torch.ones(4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        before, kept = self.calls.clone(), self.kept.clone()
        self.calls.add_(1).mul_(3)
        return x + before, x + self.calls, x + kept


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class CopiesABuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", flow.zeros(4))
        self.register_buffer("kept", flow.zeros(4))

    def forward(self, x):
        out = self.calls.clone()
        out_2 = self.calls + 1
        self.calls.copy_(out_2)
        out_2 = out_2 * 3
        self.calls.copy_(out_2)
        return x + out, x + out_2, x + self.kept
