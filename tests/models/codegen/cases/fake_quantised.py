"""A layer that is trained for a quantised one: by a scale that is a number, and one that is a tensor."""

import torch
from programs import program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(2, 4))
class FakeQuantised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("scale", torch.tensor(0.05))
        self.register_buffer("zero_point", torch.tensor(3, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.fake_quantize_per_tensor_affine(self.fc.weight, 0.02, 0, -20, 20)
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, 0, 50)
        return F.linear(x, weight, self.fc.bias)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def fake_quantized(x, scale, zero_point, quant_min, quant_max):
    """PyTorch's `fake_quantize`: its gradient is 1 between the smallest and the largest number, and 0 beyond."""
    steps = flow.round(x * (1 / scale)) + zero_point
    inside = flow.logical_and(steps >= quant_min, steps <= quant_max).to(x.dtype)
    kept = x * inside
    return kept + ((flow.clamp(steps, quant_min, quant_max) - zero_point) * scale - kept).detach()


class FakeQuantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", flow.zeros(()))
        self.register_buffer("zero_point", flow.zeros((), dtype=flow.int32))
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        weight = fake_quantized(self.fc.weight, 0.02, 0, -20, 20)
        steps = flow.round(x * flow.reciprocal(self.scale)) + self.zero_point.to(flow.float32)
        kept = x * flow.logical_and(steps >= 0, steps <= 50).to(flow.float32)
        x = (
            (flow.clamp(steps, min=0, max=50) - self.zero_point.to(flow.float32)) * self.scale
            - kept
        ).detach()
        return F.linear(kept + x, weight, self.fc.bias)
