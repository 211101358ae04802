"""A module that writes its buffers is called twice: the second call reads them anew, as the author's does."""

import torch
from programs import program, x
from torch import Tensor, nn


class Centred(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return x - self.mean


@program(x(5, 4), x(5, 4), dynamic={0: ("batch",), 1: ("batch",)})
class WritesInTwoCalls(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centred = Centred()
        self.critic = nn.utils.spectral_norm(nn.Linear(4, 2))

    def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return self.critic(self.centred(real)), self.critic(self.centred(fake))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def normalize(x, dim, eps=1e-12):
    """PyTorch's `F.normalize`. OneFlow's own bounds the sum of squares by `eps`, and not the norm."""
    return x / flow.clamp(flow.linalg.vector_norm(x, dim=dim, keepdim=True), min=eps)


class Centred(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", flow.zeros(4))

    def forward(self, x):
        if self.training:
            with flow.no_grad():
                out = self.mean * 0.9
                self.mean.copy_(out)
                out = out + 0.1 * x.mean(dim=(0,))
                self.mean.copy_(out)
            return x - out
        return x - self.mean


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(flow.zeros(2))
        self.weight_orig = nn.Parameter(flow.zeros(2, 4))
        self.register_buffer("weight_u", flow.zeros(2))
        self.register_buffer("weight_v", flow.zeros(4))

    def forward(self, input):
        if self.training:
            out = self.weight_orig.reshape(2, -1)
            with flow.no_grad():
                out_2 = normalize(flow.matmul(out.t(), self.weight_u), dim=0)
                self.weight_v.copy_(out_2)
                out_3 = normalize(flow.matmul(out, out_2), dim=0)
                self.weight_u.copy_(out_3)
            out = self.weight_orig / (out_3 * flow.matmul(out, out_2)).sum()
            return F.linear(input, out, self.bias)
        return F.linear(
            input,
            self.weight_orig
            / (self.weight_u * flow.matmul(self.weight_orig.reshape(2, -1), self.weight_v)).sum(),
            self.bias,
        )


class WritesInTwoCalls(nn.Module):
    def __init__(self):
        super().__init__()
        self.centred = Centred()
        self.critic = Linear()

    def forward(self, real, fake):
        return self.critic(self.centred(real)), self.critic(self.centred(fake))
