"""A write into an input is a new value: the caller's tensor stays as it is, and a note says so."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH, gradients=False)
class WritesIntoItsInput(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        return x + 1


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class WritesIntoItsInput(nn.Module):
    def forward(self, x):
        return x * 2 + 1
