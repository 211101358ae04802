"""`*xs` and `**named` become arguments with names."""

from programs import program, x
from torch import Tensor, nn


@program(x(2, 4), x(2, 4, seed=2), kwargs={"scale": x(4)})
class Variadic(nn.Module):
    def forward(self, *xs: Tensor, **named: Tensor) -> Tensor:
        return (xs[0] + xs[1]) * named["scale"]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Variadic(nn.Module):
    def forward(self, xs_0, xs_1, scale):
        return (xs_0 + xs_1) * scale
