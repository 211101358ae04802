"""What only some calls do comes in the author's order, and so do the arguments, whichever call was merged first."""

from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, shift: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        x = self.fc(x)
        if shift is not None:
            x = x + shift
        if scale is not None:
            x = x * scale
        return x


@program(x(2, 4), dynamic=BATCH)
class BranchesInOrder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = Block(), Block(), Block()

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x, scale=x)
        return self.c(self.b(y, x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, shift=None, scale=None):
        x = self.fc(x)
        if shift is not None:
            x = x + shift
        if scale is not None:
            x = x * scale
        return x


class BranchesInOrder(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Block()
        self.b = Block()
        self.c = Block()

    def forward(self, x):
        y = self.a(x, scale=x)
        return self.c(self.b(y, x))
