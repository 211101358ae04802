"""Numbers, not integers, that are computed from a dynamic size."""

from programs import program, x
from torch import Tensor, nn


@program(x(3, 5, 4), dynamic={0: ("batch", "length")})
class ScalesBySize(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        length = x.shape[1]
        return x / length, x * length**-0.5, x * (1.0 / length), x.sum(1) / (length * 2 - 1)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class ScalesBySize(nn.Module):
    def forward(self, x):
        return (
            x / x.shape[1],
            x * x.shape[1] ** (-0.5),
            x * (1.0 / x.shape[1]),
            x.sum(dim=(1,)) / (2 * x.shape[1] - 1),
        )
