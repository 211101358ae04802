"""A module that is only called by its second name: the first is that module too, and no class without a `forward`."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH)
class SecondName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.same = self.norm

    def forward(self, x: Tensor) -> Tensor:
        return self.same(x) + x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class SecondName(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.Identity()
        self.same = nn.BatchNorm1d(4)
        self.norm = self.same

    def forward(self, x):
        return self.same(x) + x
