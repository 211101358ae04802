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


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """PyTorch's `group_norm`, which OneFlow 0.9.0 has as a module and on CUDA only as a function."""
    if input.numel() == 0:
        return input
    shape = [1, -1] + [1] * (input.ndim - 2)
    grouped = input.reshape(input.shape[0], num_groups, -1)
    input = F.layer_norm(grouped, grouped.shape[-1:], eps=eps).reshape(*input.shape)
    input = input if weight is None else input * weight.reshape(*shape)
    return input if bias is None else input + bias.reshape(*shape)


def reciprocal_deviation(x, dim, eps):
    """1 / sqrt(variance + eps), which PyTorch's normalizations give as their last result."""
    return flow.rsqrt(
        flow.square(x - x.mean(dim=dim, keepdim=True)).mean(dim=dim, keepdim=True) + eps
    )


def normalize_channels(
    x, mean=None, variance=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05
):
    """`batch_norm` without statistics, or with a weight or a bias alone, which OneFlow 0.9.0 gets wrong."""
    if weight is None:
        weight = flow.ones(x.shape[1], dtype=x.dtype, device=x.device)
    if bias is None:
        bias = flow.zeros(x.shape[1], dtype=x.dtype, device=x.device)
    if mean is not None:
        return F.batch_norm(x, mean, variance, weight, bias, training, momentum, eps)
    dims, shape = ([0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2))
    x = (x - x.mean(dim=dims, keepdim=True)) * reciprocal_deviation(x, dims, eps)
    return x * weight.reshape(*shape) + bias.reshape(*shape)


def normalize_instances(x, mean, variance, weight, bias, training, momentum, eps):
    """PyTorch's `instance_norm` with running statistics, which OneFlow 0.9.0's keeps and never uses."""
    if not training:
        return normalize_channels(x, mean, variance, weight, bias, False, momentum, eps)
    dims = list(range(2, x.ndim))
    with flow.no_grad():
        mean.copy_((1 - momentum) * mean + momentum * x.mean(dim=dims).mean(dim=0))
        variance.copy_(
            (1 - momentum) * variance + momentum * x.var(dim=dims, unbiased=True).mean(dim=0)
        )
    return group_norm(x, x.shape[1], weight, bias, eps)


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


class InstanceNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4))
        self.bias = nn.Parameter(flow.zeros(4))
        self.register_buffer("running_mean", flow.zeros(4))
        self.register_buffer("running_var", flow.zeros(4))
        self.register_buffer("num_batches_tracked", flow.zeros((), dtype=flow.int64))

    def forward(self, input):
        return normalize_instances(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            0.1,
            1e-05,
        )


class NormsByMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", flow.zeros(4))
        self.register_buffer("variance", flow.zeros(4))
        self.frozen = BatchNorm2d()
        self.counting = BatchNorm2d2()
        self.instances = InstanceNorm2d()

    def forward(self, x):
        x = self.instances(self.counting(self.frozen(x)))
        return F.batch_norm(x, self.mean, self.variance, training=self.training, momentum=0.2)
