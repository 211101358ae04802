"""Arithmetic and comparisons of integers and booleans."""

import torch
from programs import program
from torch import Tensor, nn


@program(
    torch.tensor([[3, 1, 2], [0, 5, 4]]), torch.tensor([[True, False, True]]), dynamic={0: ("batch",)}, gradients=False
)
class IntegersAndBools(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.arange(6))

    def forward(self, ids: Tensor, keep: Tensor) -> tuple[Tensor, ...]:
        found = self.steps[ids] * 2 + keep
        return found, found > 4, found // 3, found % 3, found / 2, found.sum(1), keep | (ids > 2)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def remainder(x, other):
    """PyTorch's `remainder`, which takes the sign of the divisor; OneFlow's `%` takes the dividend's."""
    if isinstance(other, flow.Tensor) and x.requires_grad:
        other = other + x * 0
    rest = flow.fmod(x, other)
    return flow.where(rest * other < 0, rest + other, rest)


class IntegersAndBools(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", flow.zeros(6, dtype=flow.int64))

    def forward(self, ids, keep):
        found = self.steps[ids] * 2 + keep.to(flow.int64)
        return (
            found,
            found > 4,
            flow.floor(found.to(flow.float64) / 3).to(flow.int64),
            remainder(found, 3),
            found.to(flow.float32) / 2,
            found.sum(dim=(1,)),
            flow.logical_or(keep, ids > 2),
        )
