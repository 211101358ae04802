"""Arguments that are passed by keyword alone, another one in each call."""

from programs import program, x
from torch import Tensor, nn


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, *, left: Tensor | None = None, right: Tensor | None = None, scale: float = 1.0) -> Tensor:
        out = self.fc(left if left is not None else right)
        return out * scale


@program(kwargs={"x": x(2, 4), "y": x(2, 4, seed=2)}, dynamic={"x": {0: "batch"}, "y": {0: "batch"}})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, *, x: Tensor, y: Tensor) -> Tensor:
        a = self.inner(left=x)
        b = self.inner(right=y, scale=2.0)
        c = self.inner(right=a, left=b)
        return a + b + c


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, left=None, right=None):
        if left is None:
            left = right
        out = self.fc(left)
        return out if right is None else out * 2.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x, y):
        a = self.inner(x)
        b = self.inner(right=y)
        c = self.inner(b)
        return a + b + c
