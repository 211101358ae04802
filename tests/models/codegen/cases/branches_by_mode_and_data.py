"""What a branch of `torch.cond`, and each round of a loop, does in one mode alone."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F


@program(x(5, 4), dynamic=BATCH)
class BranchesByModeAndData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        def large(x: Tensor) -> Tensor:
            y = F.dropout(self.a(x), 0.5, training=True)
            if self.training:
                y = y * 2 + x.std()
            return y

        def step(h: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.tanh(self.drop(self.a(row)) + h)
            if self.training:
                h = h * 0.9
            return h, h.clone()

        y = torch.cond(x.sum() > 100, large, torch.sin, (x,))
        return scan(step, torch.zeros_like(y[0:1]), y.unsqueeze(1))[1].squeeze(1)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def root_of_variance(variance):
    """A standard deviation, whose gradient is 0 where all values are equal; that of OneFlow's `std` is NaN."""
    varies = variance != 0
    return flow.sqrt(flow.where(varies, variance, flow.ones_like(variance))) * varies.to(
        variance.dtype
    )


class BranchesByModeAndData(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.drop = nn.Dropout(p=0.2)

    def forward(self, x):
        if self.training:
            if x.sum() > 100:
                y = F.dropout(self.a(x), p=0.5, training=True)
                y = y * 2 + root_of_variance(x.var())
            else:
                y = flow.sin(x)
        elif x.sum() > 100:
            y = F.dropout(self.a(x), p=0.5, training=True)
        else:
            y = flow.sin(x)
        h = flow.zeros_like(y[:1])
        step = []
        if self.training:
            state = h
            for y_t in y.unsqueeze(1):
                h = flow.tanh(self.drop(self.a(y_t)) + state)
                h = h * 0.9
                step.append(h)
                state = h
        else:
            for y_t in y.unsqueeze(1):
                h = flow.tanh(self.drop(self.a(y_t)) + h)
                step.append(h)
        step = flow.stack(step)
        return step.squeeze(1)
