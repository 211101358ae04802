"""Nothing is dynamic: sizes are numbers."""

from programs import program, x
from torch import Tensor, nn


@program(x(2, 3, 8, 8))
class FixedSizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.fc = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu()
        return self.fc(x.view(x.size(0), -1))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class FixedSizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.fc = nn.Linear(64, 2)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x.reshape(2, -1))
