"""Constants that were passed become defaults."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), kwargs={"mode": "sum", "power": 3}, dynamic=BATCH)
class TakesConstants(nn.Module):
    def forward(self, x: Tensor, mode: str = "mean", power: int = 2) -> tuple[Tensor]:
        x = x**power
        return (x.sum(1) if mode == "sum" else x.mean(1),)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class TakesConstants(nn.Module):
    def forward(self, x, mode="sum", power=3):
        x = x**3
        return (x.sum(dim=(1,)),)
