"""Buffers that a run in train mode changes: every write is kept."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH, train=True)
class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.zeros(4))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
                self.last[1:] = x[0, 1:]
            self.calls += 1
        return self.norm(x) - self.mean


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", flow.zeros(4))
        self.register_buffer("calls", flow.zeros((), dtype=flow.int64))
        self.register_buffer("last", flow.zeros(4))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        if self.training:
            with flow.no_grad():
                out = self.mean * 0.9
                self.mean.copy_(out)
                out = out + 0.1 * x.mean(dim=(0,))
                self.mean.copy_(out)
                out_2 = x[0][1:]
                x_2 = self.last.clone()
                x_2[1:] = out_2
                self.last.copy_(x_2)
            self.calls.copy_(self.calls + 1)
            return self.norm(x) - out
        return self.norm(x) - self.mean
