"""Random numbers of every kind: other ones than PyTorch's, and compared by fixed ones on both sides."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(5, 4), dynamic=BATCH)
class Draws(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(4, 4)
        self.deviation = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean, deviation = self.mean(x), self.deviation(x).exp()
        z = mean + deviation * torch.randn_like(mean)
        z = z + torch.normal(mean, deviation) + torch.rand(4) + torch.empty_like(x).uniform_(-1.0, 2.0)
        z = z + torch.empty_like(x).normal_(1.0, 0.5) * torch.empty_like(x).exponential_(2.0)
        z = z * torch.bernoulli(torch.sigmoid(mean)) + torch.zeros_like(x).bernoulli_(0.25)
        z = z + torch.randint(2, 7, (4,)) + torch.empty_like(x).random_(5) + torch.randint_like(x, 3)
        z = z + torch.empty_like(x).log_normal_(0.0, 0.5) + torch.empty_like(x).geometric_(0.5)
        z = z + torch.empty_like(x).cauchy_(0.5, 2.0).clamp(-3, 3)
        return z[:, torch.randperm(4)] + F.gumbel_softmax(mean, tau=0.5)


# -- becomes -------------------------------------------------------------------------------------------------


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Draws(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Linear(4, 4)
        self.deviation = nn.Linear(4, 4)

    def forward(self, x):
        mean = self.mean(x)
        deviation = flow.exp(self.deviation(x))
        z = mean + deviation * flow.randn(mean.shape, dtype=flow.float32, device=mean.device)
        z = (
            z
            + (
                flow.randn((x.shape[0], 4), dtype=flow.float32, device=mean.device) * deviation
                + mean
            ).detach()
            + flow.rand((4,), dtype=flow.float32, device=x.device)
            + (flow.rand(x.shape, device=x.device).to(x.dtype) * 3.0 + -1.0)
        )
        z = z + (flow.randn(x.shape, device=x.device) * 0.5 + 1.0) * (
            -flow.log(1 - flow.rand(x.shape, device=x.device).to(x.dtype)) / 2.0
        )
        z = z * flow.bernoulli(flow.sigmoid(mean)) + (
            flow.rand(x.shape, device=x.device) < 0.25
        ).to(x.dtype)
        z = (
            z
            + flow.randint(2, 7, (4,), device=x.device).to(flow.int64).to(flow.float32)
            + flow.randint(0, 5, x.shape, device=x.device).to(x.dtype)
            + flow.randint(0, 3, x.shape, device=x.device).to(flow.float32)
        )
        z = (
            z
            + flow.exp(flow.randn(x.shape, device=x.device).to(x.dtype) * 0.5 + 0.0)
            + flow.ceil(flow.log(1 - flow.rand(x.shape, device=x.device)) / -0.6931471805599453).to(
                x.dtype
            )
        )
        z = z + flow.clamp(
            flow.tan(3.141592653589793 * (flow.rand(x.shape, device=x.device).to(x.dtype) - 0.5))
            * 2.0
            + 0.5,
            min=-3,
            max=3,
        )
        gumbels = (
            mean
            + -flow.log(
                -flow.log(1 - flow.rand(mean.shape, device=mean.device).to(mean.dtype)) / 1.0
            )
        ) / 0.5
        y_soft = F.softmax(gumbels, dim=-1)
        return z[:, flow.randperm(4, device=x.device)] + y_soft
