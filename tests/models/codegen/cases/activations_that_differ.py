"""One class whose activation is nn.ReLU in some instances and nn.GELU in others."""

from programs import BATCH, program, x
from torch import Tensor, nn


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = activation()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fc2(self.act(self.fc1(x)))


@program(x(2, 4), dynamic=BATCH)
class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.early = Mlp(4, 8, nn.ReLU)
        self.late = nn.Sequential(Mlp(4, 6, nn.GELU), Mlp(4, 6, nn.GELU))

    def forward(self, x: Tensor) -> Tensor:
        return self.late(self.early(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Mlp(nn.Module):
    def __init__(self, out_features, activation_layer):
        super().__init__()
        self.fc1 = nn.Linear(4, out_features)
        self.act = activation_layer()
        self.fc2 = nn.Linear(out_features, 4)

    def forward(self, x):
        return x + self.fc2(self.act(self.fc1(x)))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.early = Mlp(8, nn.ReLU)
        self.late = nn.Sequential(*[Mlp(6, nn.GELU) for _ in range(2)])

    def forward(self, x):
        return self.late(self.early(x))
