"""A block that holds a smaller one of its own class."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Pyramid(nn.Module):
    """A block that holds a smaller one of its own class."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // 2)
        self.inner = Pyramid(width // 2, depth - 1) if depth else None
        self.up = nn.Linear(width // 2, width)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.down(x))
        if self.inner is not None:
            out = self.inner(out)
        return x + self.up(out)


@program(x(2, 16), dynamic=BATCH)
class Recursive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pyramid(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Linear(4, 2)
        self.up = nn.Linear(2, 4)

    def forward(self, x):
        out = F.relu(self.down(x))
        return x + self.up(out)


class Pyramid2(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Linear(8, 4)
        self.inner = Pyramid()
        self.up = nn.Linear(4, 8)

    def forward(self, x):
        out = F.relu(self.down(x))
        out = self.inner(out)
        return x + self.up(out)


class Pyramid3(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Linear(16, 8)
        self.inner = Pyramid2()
        self.up = nn.Linear(8, 16)

    def forward(self, x):
        out = F.relu(self.down(x))
        out = self.inner(out)
        return x + self.up(out)


class Recursive(nn.Module):
    def __init__(self):
        super().__init__()
        self.pyramid = Pyramid3()

    def forward(self, x):
        return self.pyramid(x)
