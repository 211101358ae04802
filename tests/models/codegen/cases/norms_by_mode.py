"""Norms act in train mode as the author's do: one is frozen, one counts, one has statistics of instances, one none."""

import torch
import torch.nn.functional as F
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(3, 4, 5, 5), dynamic=BATCH)
class NormsByMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.BatchNorm2d(4)
        self.counting = nn.BatchNorm2d(4, momentum=None)
        self.instances = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("variance", torch.ones(4))
        nn.init.normal_(self.frozen.running_mean)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = self.instances(self.counting(self.frozen(x)))
        return F.batch_norm(x, self.mean, self.variance, training=self.training, momentum=0.2)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class BatchNorm(nn.Module):
    """PyTorch's batch norm where OneFlow 0.9.0's differs: no momentum, no statistics, a weight without a bias."""

    def __init__(
        self,
        num_features,
        eps=1e-05,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        bias=True,
    ):
        super().__init__()
        self.eps, self.momentum = (eps, momentum)
        self.register_parameter("weight", nn.Parameter(flow.ones(num_features)) if affine else None)
        self.register_parameter(
            "bias", nn.Parameter(flow.zeros(num_features)) if affine and bias else None
        )
        if track_running_stats:
            self.register_buffer("running_mean", flow.zeros(num_features))
            self.register_buffer("running_var", flow.ones(num_features))
            self.register_buffer("num_batches_tracked", flow.tensor(0, dtype=flow.int64))
        else:
            self.running_mean = self.running_var = None

    def forward(self, x):
        dims, shape = ([0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2))
        if self.training or self.running_mean is None:
            mean, variance = (x.mean(dim=dims), x.var(dim=dims, unbiased=False))
            if self.running_mean is not None:
                self._track(mean, x.var(dim=dims, unbiased=True))
        else:
            mean, variance = (self.running_mean, self.running_var)
        return self._scaled(
            (x - mean.reshape(*shape)) * flow.rsqrt(variance + self.eps).reshape(*shape)
        )

    def _scaled(self, x):
        shape = [1, -1] + [1] * (x.ndim - 2)
        x = x if self.weight is None else x * self.weight.reshape(*shape)
        return x if self.bias is None else x + self.bias.reshape(*shape)

    @flow.no_grad()
    def _track(self, mean, variance):
        self.num_batches_tracked.add_(1)
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.copy_((1 - momentum) * self.running_mean + momentum * mean)
        self.running_var.copy_((1 - momentum) * self.running_var + momentum * variance)


class InstanceNorm(BatchNorm):
    """PyTorch's instance norm with running statistics, which OneFlow 0.9.0's keeps and never uses."""

    def forward(self, x):
        if self.running_mean is not None and (not self.training):
            return super().forward(x)
        dims = list(range(2, x.ndim))
        mean = x.mean(dim=dims, keepdim=True)
        variance = x.var(dim=dims, unbiased=False, keepdim=True)
        if self.running_mean is not None:
            unbiased = x.var(dim=dims, unbiased=True).mean(dim=0)
            self._track(mean.flatten(1).mean(dim=0), unbiased)
        return self._scaled((x - mean) * flow.rsqrt(variance + self.eps))

    @flow.no_grad()
    def _track(self, mean, variance):
        self.running_mean.copy_((1 - self.momentum) * self.running_mean + self.momentum * mean)
        self.running_var.copy_((1 - self.momentum) * self.running_var + self.momentum * variance)


class BatchNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4))
        self.bias = nn.Parameter(flow.zeros(4))
        self.register_buffer("running_mean", flow.zeros(4))
        self.register_buffer("running_var", flow.zeros(4))
        self.register_buffer("num_batches_tracked", flow.zeros((), dtype=flow.int64))

    def forward(self, input):
        return F.batch_norm(
            input, self.running_mean, self.running_var, weight=self.weight, bias=self.bias
        )


class BatchNorm2d2(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4))
        self.bias = nn.Parameter(flow.zeros(4))
        self.register_buffer("running_mean", flow.zeros(4))
        self.register_buffer("running_var", flow.zeros(4))
        self.register_buffer("num_batches_tracked", flow.zeros((), dtype=flow.int64))

    def forward(self, input):
        if self.training:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            weight=self.weight,
            bias=self.bias,
            training=self.training,
            momentum=1 / self.num_batches_tracked.item() if self.training else 0.0,
        )


class NormsByMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", flow.zeros(4))
        self.register_buffer("variance", flow.zeros(4))
        self.frozen = BatchNorm2d()
        self.counting = BatchNorm2d2()
        self.instances = InstanceNorm(4)

    def forward(self, x):
        x = self.instances(self.counting(self.frozen(x)))
        return F.batch_norm(x, self.mean, self.variance, training=self.training, momentum=0.2)
