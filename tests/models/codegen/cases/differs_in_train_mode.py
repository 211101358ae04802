"""What train mode adds is in the program of that mode; a backward of a function that writes into its input is told."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.sign_()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


@program(x(5, 4), dynamic=BATCH, gradients=False)
class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.act = nn.RReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc(x))
        if self.training:
            x = x + torch.randn_like(x)
        return x * Sign.apply(x.clone()) * (0.5 if self.training else 1.0)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def random_leaky_relu(x, lower, upper, training):
    """PyTorch's `rrelu`: while training, each slope is drawn evenly between two bounds."""
    if not training:
        return F.leaky_relu(x, alpha=(lower + upper) / 2)
    slope = lower + (upper - lower) * flow.rand(x.shape, device=x.device)
    return flow.where(x >= 0, x, slope * x)


class RReLU(nn.Module):
    def forward(self, input):
        return random_leaky_relu(input, 0.125, 0.3333333333333333, self.training)


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.act = RReLU()

    def forward(self, x):
        x = self.act(self.fc(x))
        if self.training:
            x = x + flow.randn(x.shape, dtype=flow.float32, device=x.device)
            return x * flow.sign(x) * 0.5
        return x * flow.sign(x)
