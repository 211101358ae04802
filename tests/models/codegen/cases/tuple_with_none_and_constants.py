"""A tuple that holds None, a number and a string beside its tensor."""

from typing import Any

from programs import BATCH, program, x
from torch import Tensor, nn


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, state: tuple[Any, ...]) -> tuple[Any, ...]:
        a, mask, scale, mode = state
        a = self.fc(a) * scale
        if mask is not None:
            a = a * mask
        return a, None, scale + 1, mode


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Inner() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        state = (x, None, 2, "a")
        for layer in self.layers:
            state = layer(state)
        return state[0] * state[2]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Inner(nn.Module):
    def __init__(self, scale, value):
        super().__init__()
        self.scale = scale
        self.value = value
        self.fc = nn.Linear(4, 4)

    def forward(self, state):
        a, _, _, _ = state
        a = self.fc(a) * self.scale
        return a, None, self.value, "a"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Inner(2, 3), Inner(3, 4)])

    def forward(self, x):
        state = self.layers[0]((x, None, 2, "a"))
        state = self.layers[1](state)
        return state[0] * 4
