"""An inner module returns a NamedTuple, which goes on to another module as it is."""

from typing import NamedTuple

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class State(NamedTuple):
    hidden: Tensor
    cell: Tensor


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Linear(8, 4)

    def forward(self, x: Tensor, state: State) -> State:
        gate = torch.sigmoid(self.gates(torch.cat([x, state.hidden], 1)))
        cell = gate * state.cell + (1 - gate) * x
        return State(torch.tanh(cell), cell)


@program(x(2, 4), dynamic=BATCH)
class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell()

    def forward(self, x: Tensor) -> Tensor:
        state = State(torch.zeros_like(x), torch.zeros_like(x))
        for _ in range(3):
            state = self.cell(x, state)
        return state.hidden


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn


class State(NamedTuple):
    hidden: flow.Tensor = None
    cell: flow.Tensor = None


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates = nn.Linear(8, 4)

    def forward(self, x, state):
        gate = flow.sigmoid(self.gates(flow.cat((x, state.hidden), dim=1)))
        cell = gate * state.cell + (1 - gate) * x
        return State(hidden=flow.tanh(cell), cell=cell)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Cell()

    def forward(self, x):
        out = flow.zeros_like(x)
        state = self.cell(x, State(hidden=out, cell=flow.zeros_like(x)))
        state = self.cell(x, state)
        state = self.cell(x, state)
        return state.hidden
