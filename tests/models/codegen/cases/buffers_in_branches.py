"""Buffers that a branch of `torch.cond` and the rounds of a loop write, and what others see of that."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop


@program(x(5, 4), dynamic=BATCH, gradients=False)
class BuffersInBranches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(4))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        before, alias, row = self.count * 2, self.count, self.count[1:]

        def counted(x: Tensor) -> Tensor:
            self.count.add_(1)
            self.count[0] = 7.0
            return x + self.count

        def step(i: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            self.calls.add_(1)
            return i + 1, h * self.calls

        y = torch.cond(x.sum() > 0, counted, lambda x: x * 2, (x,))
        _, z = while_loop(lambda i, h: i < 3, step, (torch.tensor(0), y + before))
        return z + self.calls, alias + row.sum(), self.count * 1


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class BuffersInBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", flow.zeros(4))
        self.register_buffer("calls", flow.zeros(()))

    def forward(self, x):
        out = self.count * 2
        if x.sum() > 0:
            out_2 = self.count + 1
            self.count.copy_(out_2)
            out_2 = out_2.clone()
            out_2[0] = 7.0
            self.count.copy_(out_2)
            y = x + out_2
        else:
            y = x * 2
        i = flow.tensor(0, dtype=flow.int64, device=x.device)
        out = y + out
        while i < 3:
            h = self.calls + 1
            self.calls.copy_(h)
            i = i + 1
            out = out * h
        return out + self.calls, self.count + self.count[1:].sum(), self.count.clone()
