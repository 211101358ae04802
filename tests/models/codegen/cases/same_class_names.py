"""Different classes of one name get numbers, and so does a class that is called as something the source imports."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


def block(add: float) -> nn.Module:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) + add if add else torch.tanh(self.fc(x))

    return Block()


class Path(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) * 2


@program(x(2, 4), dynamic=BATCH)
class SameClassNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = block(0.0)
        self.second = block(1.0)
        self.path = Path()
        self.register_buffer("table", x(5, 4, seed=7), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.path(self.second(self.first(x))) + self.table[1]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from pathlib import Path

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def constant(name):
    """A tensor that the original made in its constructor and did not put into its state_dict."""
    return flow.load(str(Path(__file__).parent / "constants"))[name]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return flow.tanh(self.fc(x))


class Block2(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x) + 1.0


class Path2(nn.Module):
    def forward(self, x):
        return F.relu(x) * 2


class SameClassNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", constant("table"), persistent=False)
        self.first = Block()
        self.second = Block2()
        self.path = Path2()

    def forward(self, x):
        return self.path(self.second(self.first(x))) + self.table[1]
