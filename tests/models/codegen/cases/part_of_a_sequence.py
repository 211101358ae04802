"""A Sequential that is not called as one becomes a ModuleList; a module that is never called is kept."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class PartOfASequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
        self.unused = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        middle = self.features[:2](x)
        return self.features[2](middle) + middle


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class PartOfASequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Identity()])
        self.unused = nn.Linear(4, 2)

    def forward(self, x):
        feature = self.features[0](x)
        middle = self.features[1](feature)
        return self.features[2](middle) + middle
