"""OneFlow's largest-value pooling takes no None for a size that stays: the function is called with the number."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 3, 6, 8), dynamic=BATCH)
class Pools(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.largest = nn.AdaptiveMaxPool2d((None, 2))
        self.both = nn.AdaptiveMaxPool2d((3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.both(self.largest(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class AdaptiveMaxPool2d(nn.Module):
    def forward(self, input):
        input, _ = F.adaptive_max_pool2d(input, (6, 2), True)
        return input


class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.largest = AdaptiveMaxPool2d()
        self.both = nn.AdaptiveMaxPool2d((3, 2))

    def forward(self, x):
        return self.both(self.largest(x))
