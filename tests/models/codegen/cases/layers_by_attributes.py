"""Layers of PyTorch's whose operators have other arguments are OneFlow's own, as their attributes say."""

from programs import program, x
from torch import Tensor, nn


@program(x(2, 4, 8, 8), dynamic={0: ("batch", None, "height", "width")})
class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d((1, 1, 2, 0))
        self.edge = nn.ConstantPad2d(1, 0.5)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.act = nn.CELU(1.2, inplace=True)
        self.softsign = nn.Softsign()
        self.threshold = nn.Threshold(0.1, 0.2)
        self.largest = nn.AdaptiveMaxPool2d(2)
        self.split = nn.Unflatten(1, (2, 2))
        self.changed = nn.CELU(1.3)
        self.changed.register_forward_hook(lambda module, args, result: result * 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.edge(self.pad(self.up(x))))
        return self.split(self.largest(self.threshold(self.softsign(self.changed(y)))))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Unflatten(nn.Module):
    """PyTorch's `nn.Unflatten`: one dimension as several."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = (dim, unflattened_size)

    def forward(self, x):
        dim = self.dim % x.ndim
        return x.reshape(*x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :])


class CELU(nn.Module):
    def forward(self, input):
        return F.celu(input, alpha=1.3) * 2


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.pad = nn.ReflectionPad2d((1, 1, 2, 0))
        self.edge = nn.ConstantPad2d(1, value=0.5)
        self.up = nn.Upsample(scale_factor=2.0, mode="bilinear")
        self.act = nn.CELU(alpha=1.2)
        self.softsign = nn.Softsign()
        self.threshold = nn.Threshold(0.1, 0.2)
        self.largest = nn.AdaptiveMaxPool2d(2)
        self.split = Unflatten(1, (2, 2))
        self.changed = CELU()

    def forward(self, x):
        y = self.act(self.edge(self.pad(self.up(x))))
        return self.split(self.largest(self.threshold(self.softsign(self.changed(y)))))
