"""`math.sqrt` makes a plain number of a size, so that the size is fixed."""

import math

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(3, 5, 4), dynamic=BATCH)
class ScalesByAFixedSize(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x / math.sqrt(x.shape[1]), x * x.shape[1] ** -0.5


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class ScalesByAFixedSize(nn.Module):
    def forward(self, x):
        return x / 2.23606797749979, x * 0.4472135954999579
