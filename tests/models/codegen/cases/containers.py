"""A ModuleDict, a ParameterList, a ParameterDict and a Sequential of names stay what they are."""

from collections import OrderedDict

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"left": nn.Linear(4, 4), "right": nn.Linear(4, 4)})
        self.scales = nn.ParameterList([torch.full((4,), 0.5), torch.full((4,), 2.0)])
        self.shifts = nn.ParameterDict({"in": torch.ones(4), "out": torch.ones(4)})
        self.tail = nn.Sequential(OrderedDict(norm=nn.LayerNorm(4), act=nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.shifts["in"]
        left = self.heads["left"](x) * self.scales[0]
        right = self.heads["right"](x) * self.scales[1]
        return self.tail(left + right) + self.shifts["out"]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from collections import OrderedDict

import oneflow as flow
import oneflow.nn as nn


class Shifts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_parameter("in", nn.Parameter(flow.zeros(4)))
        self.out = nn.Parameter(flow.zeros(4))


class Containers(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict({"left": nn.Linear(4, 4), "right": nn.Linear(4, 4)})
        self.scales = nn.ParameterList([nn.Parameter(flow.zeros(4)), nn.Parameter(flow.zeros(4))])
        self.shifts = Shifts()
        self.tail = nn.Sequential(OrderedDict({"norm": nn.LayerNorm(4), "act": nn.ReLU()}))

    def forward(self, x):
        x = x + getattr(self.shifts, "in")
        left = self.heads["left"](x) * self.scales[0]
        right = self.heads["right"](x) * self.scales[1]
        return self.tail(left + right) + self.shifts.out
