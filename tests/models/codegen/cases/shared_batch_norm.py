"""A BatchNorm of two blocks is one module: its running statistics are shared, and not its weights alone."""

from programs import BATCH, program, x
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc(x))


@program(x(5, 4), dynamic=BATCH)
class SharedBatchNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(4)
        self.a, self.b = Block(norm), Block(norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.fc(x))


class SharedBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Block()
        self.b = Block()
        self.b.norm = self.a.norm

    def forward(self, x):
        return self.b(self.a(x))
