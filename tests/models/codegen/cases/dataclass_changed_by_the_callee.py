"""A module sets fields of the dataclass that it is given, and returns it."""

from dataclasses import dataclass

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@dataclass
class State:
    h: Tensor
    c: Tensor | None = None
    steps: int = 0


class Step(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, s: State) -> State:
        s.h = torch.tanh(self.fc(s.h))
        s.c = s.h if s.c is None else s.c + s.h
        s.steps += 1
        return s


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Step() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        s = State(x)
        for step in self.steps:
            s = step(s)
        return s.c / s.steps


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn


class State(NamedTuple):
    h: flow.Tensor = None
    c: flow.Tensor = None
    steps: flow.Tensor = None


class Step(nn.Module):
    def __init__(self, value, with_out=False, with_out_2=False, with_out_3=False):
        super().__init__()
        self.value = value
        self.with_out = with_out
        self.with_out_2 = with_out_2
        self.with_out_3 = with_out_3
        self.fc = nn.Linear(4, 4)

    def forward(self, s):
        out = flow.tanh(self.fc(s.h))
        if self.with_out:
            out_2 = s.h + out
        if self.with_out_2:
            out_2 = s.c + out
        if self.with_out_3:
            out_2 = out
        return State(h=out, c=out_2, steps=self.value)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(
            [Step(1, with_out_3=True), Step(2, with_out=True), Step(3, with_out_2=True)]
        )

    def forward(self, x):
        s = self.steps[0](State(h=x, steps=0))
        s = self.steps[1](s)
        s = self.steps[2](s)
        return s.c / 3
