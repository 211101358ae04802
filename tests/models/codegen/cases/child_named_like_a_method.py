"""A child is called `forward_2`, as a second method would be: the method has another name."""

from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.forward_2 = nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        out = self.forward_2(x)
        return out if y is None else out * y


@program(x(2, 4), dynamic=BATCH)
class ChildNamedLikeAMethod(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x), x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.forward_2 = nn.Linear(4, 4)

    def forward(self, x, y=None):
        out = self.forward_2(x)
        return out if y is None else out * y


class ChildNamedLikeAMethod(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(self.block(x), x)
