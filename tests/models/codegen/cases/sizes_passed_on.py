"""Sizes leave one module in a tuple and enter another one."""

from programs import program, x
from torch import Tensor, nn


class Sizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        batch, length, width = x.shape
        return self.fc(x).reshape(batch * length, width), (batch, length)


class Back(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 6)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        batch, length = size
        return self.fc(x).reshape(batch, length, -1)


@program(x(2, 3, 4), dynamic={0: ("batch", "length")})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.s = Sizes()
        self.b = Back()

    def forward(self, x: Tensor) -> Tensor:
        y, size = self.s(x)
        return self.b(y, size)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Sizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x).reshape(x.shape[1] * x.shape[0], 4), (x.shape[0], x.shape[1])


class Back(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 6)

    def forward(self, x, x_2):
        return self.fc(x).reshape(x_2.shape[0], x_2.shape[1], -1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = Sizes()
        self.b = Back()

    def forward(self, x):
        y, _ = self.s(x)
        return self.b(y, x)
