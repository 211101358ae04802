"""Modules, parameters and variables with names that mean something else: modules keep them, variables do not."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class OddNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("self", "0", "class", "a-b", "flow", "super"):
            self.add_module(name, nn.Linear(4, 4))
        self.register_parameter("lambda", nn.Parameter(torch.ones(4)))
        self.register_parameter("nn", nn.Parameter(torch.ones(4)))

    def forward(self, x: Tensor) -> Tensor:
        flow = self.self(x)
        nn = getattr(self, "0")(flow)
        math = getattr(self, "class")(nn) + flow
        x = getattr(self, "a-b")(math) * getattr(self, "lambda") + nn
        return self.super(self.flow(x)) * self.nn


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class OddNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_parameter("lambda", nn.Parameter(flow.zeros(4)))
        self.nn = nn.Parameter(flow.zeros(4))
        self.self = nn.Linear(4, 4)
        self.add_module("0", nn.Linear(4, 4))
        self.add_module("class", nn.Linear(4, 4))
        self.add_module("a-b", nn.Linear(4, 4))
        self.flow = nn.Linear(4, 4)
        self.super = nn.Linear(4, 4)

    def forward(self, x):
        flow_2 = self.self(x)
        x = getattr(self, "0")(flow_2)
        flow_2 = getattr(self, "class")(x) + flow_2
        x = getattr(self, "a-b")(flow_2) * getattr(self, "lambda") + x
        return self.super(self.flow(x)) * self.nn
