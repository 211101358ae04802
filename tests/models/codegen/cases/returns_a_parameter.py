"""A parameter among the outputs, and a part of one: a step of training changes both, and not what was given back."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class ReturnsAParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.fc(x), self.fc.bias, self.fc.weight[1]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class ReturnsAParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x), self.fc.bias, self.fc.weight[1]
