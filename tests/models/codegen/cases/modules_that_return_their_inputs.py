"""A module that returns its input as it is, and one that returns two inputs in the other order."""

from programs import program, x
from torch import Tensor, nn


class Maybe(nn.Module):
    def __init__(self, on: bool) -> None:
        super().__init__()
        self.on = on
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) if self.on else x


class Two(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return b, a


@program(x(2, 4), x(2, 4, seed=3), dynamic={0: ("batch",), 1: ("batch",)})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Maybe(True), Maybe(False), Maybe(True)])
        self.swap = Two()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        x, y = self.swap(x, y)
        return x - 2 * y


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Maybe(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Maybe(), nn.ModuleDict({"fc": nn.Linear(4, 4)}), Maybe()])
        self.swap = nn.Identity()

    def forward(self, x, y):
        x = self.layers[0](x)
        x = self.layers[2](x)
        return y - x * 2
