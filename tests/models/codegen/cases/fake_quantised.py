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
