"""The size of what is folded has two numbers, also where they are equal: OneFlow's `fold` takes no single one."""

from programs import program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(2, 4, 8, 8), dynamic={0: ("batch", None, None, None)})
class Folds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unfold = nn.Unfold(2, stride=2)
        self.fold = nn.Fold(8, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(x, 3, padding=1)
        return F.fold(patches, (8, 8), 3, padding=1) + self.fold(self.unfold(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Folds(nn.Module):
    def __init__(self):
        super().__init__()
        self.unfold = nn.Unfold(2, stride=2)
        self.fold = nn.Fold((8, 8), 2, stride=2)

    def forward(self, x):
        patches = F.unfold(x, 3, padding=1)
        return F.fold(patches, (8, 8), 3, padding=1) + self.fold(self.unfold(x))
