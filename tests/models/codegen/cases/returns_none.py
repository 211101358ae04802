"""None and numbers are returned as they are."""

from typing import Any

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsNone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Any, ...]:
        return None, self.fc(x), 3, [None, x]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class ReturnsNone(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return None, self.fc(x), 3, [None, x]
