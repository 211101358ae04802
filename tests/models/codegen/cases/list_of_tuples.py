"""A list of tuples goes into a module and comes out of it."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, pairs: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
        return [(self.fc(a) + b, a) for a, b in pairs]


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m1 = Mixer()
        self.m2 = Mixer()

    def forward(self, x: Tensor) -> Tensor:
        pairs = [(x, x + 1), (torch.tanh(x), x * 2)]
        pairs = self.m1(pairs)
        pairs = self.m2(pairs)
        (a, b), (c, d) = pairs
        return a + b * c - d


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, pairs):
        return [
            (self.fc(pairs[0][0]) + pairs[0][1], pairs[0][0]),
            (self.fc(pairs[1][0]) + pairs[1][1], pairs[1][0]),
        ]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.m1 = Mixer()
        self.m2 = Mixer()

    def forward(self, x):
        pairs = x + 1
        out = flow.tanh(x)
        pairs = self.m1([(x, pairs), (out, x * 2)])
        pairs_2 = self.m2(pairs)
        return pairs_2[0][0] + pairs[0][0] * pairs_2[1][0] - pairs[1][0]
