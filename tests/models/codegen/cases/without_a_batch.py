"""Layers that get one sample without a batch dimension, of which OneFlow's own take none, and some end the process."""

import torch
from programs import program, x
from torch import Tensor, nn


@program(x(4, 12, 12))
class WithoutABatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.pool = nn.MaxPool2d(2)
        self.mean = nn.AvgPool2d(2)
        self.shuffle = nn.PixelShuffle(2)
        self.spread = nn.AdaptiveAvgPool2d(4)
        self.groups = nn.GroupNorm(2, 4)
        self.norm = nn.LayerNorm(4)
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.mean(self.pool(self.up(self.conv(x))))
        rows = self.groups(self.spread(self.shuffle(x))[0])
        row = self.act(self.norm(rows.sum(0)))
        chosen = row.topk(2)[1]
        return row.masked_fill(torch.zeros(4, dtype=torch.bool).scatter(0, chosen, True), 0.0), rows


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def pixel_shuffle(x, upscale_factor):
    """PyTorch's `pixel_shuffle`: channels become pixels, for any number of dimensions before them."""
    *outer, channels, height, width = x.shape
    x = x.reshape(
        *outer, channels // upscale_factor**2, upscale_factor, upscale_factor, height, width
    )
    first = len(outer)
    x = x.permute(*range(first + 1), first + 3, first + 1, first + 4, first + 2)
    return x.reshape(
        *outer, channels // upscale_factor**2, height * upscale_factor, width * upscale_factor
    )


def group_norm(input, num_groups, weight, bias, eps=1e-05, cudnn_enabled=True):
    """PyTorch's `group_norm`, which OneFlow 0.9.0 has as a module and on CUDA only as a function."""
    if input.numel() == 0:
        return input
    shape = [1, -1] + [1] * (input.ndim - 2)
    grouped = input.reshape(input.shape[0], num_groups, -1)
    input = F.layer_norm(grouped, grouped.shape[-1:], eps=eps).reshape(*input.shape)
    input = input * weight.reshape(*shape)
    return input + bias.reshape(*shape)


def normalize_last(x, shape, weight, bias, eps=1e-05):
    """`layer_norm` with a weight or a bias alone, which OneFlow 0.9.0's silently ignores."""
    x = F.layer_norm(x, shape, eps=eps)
    x = x * weight
    return x + bias


def prelu(x, weight):
    """PyTorch's `prelu`: the slopes lie along dimension 1."""
    if weight.numel() > 1 and weight.ndim == 1:
        weight = weight.reshape(1, -1, *[1] * (x.ndim - 2))
    return flow.where(x > 0, x, weight * x)


class Conv2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4, 3, 3))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input):
        return F.conv2d(input.unsqueeze(0), self.weight, bias=self.bias, padding=1).squeeze(0)


class ConvTranspose2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4, 2, 2))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input):
        return F.conv_transpose2d(
            input.unsqueeze(0), self.weight, bias=self.bias, stride=2
        ).squeeze(0)


class MaxPool2d(nn.Module):
    def forward(self, input):
        return F.max_pool2d(input.unsqueeze(0), 2, stride=2).squeeze(0)


class AvgPool2d(nn.Module):
    def forward(self, input):
        return F.avg_pool2d(input.unsqueeze(0), 2, stride=2).squeeze(0)


class PixelShuffle(nn.Module):
    def forward(self, input):
        return pixel_shuffle(input, 2)


class AdaptiveAvgPool2d(nn.Module):
    def forward(self, input):
        return F.adaptive_avg_pool2d(input.unsqueeze(0), 4).squeeze(0)


class GroupNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input):
        return group_norm(input, 2, self.weight, self.bias, cudnn_enabled=False)


class LayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input):
        return normalize_last(input.unsqueeze(0), (4,), self.weight, self.bias).squeeze(0)


class PReLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(1))

    def forward(self, input):
        return prelu(input, self.weight)


class WithoutABatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = Conv2d()
        self.up = ConvTranspose2d()
        self.pool = MaxPool2d()
        self.mean = AvgPool2d()
        self.shuffle = PixelShuffle()
        self.spread = AdaptiveAvgPool2d()
        self.groups = GroupNorm()
        self.norm = LayerNorm()
        self.act = PReLU()

    def forward(self, x):
        x = self.mean(self.pool(self.up(self.conv(x))))
        rows = self.groups(self.spread(self.shuffle(x))[0])
        row = self.act(self.norm(rows.sum(dim=(0,))))
        _, chosen = flow.topk(row, 2)
        return (
            row.masked_fill(
                flow.scatter(
                    flow.zeros((4,), dtype=flow.bool, device=x.device).to(flow.int32), 0, chosen, 1
                ).to(flow.bool),
                0.0,
            ),
            rows,
        )
