"""Modules that are called where they do not lie: held in a list, passed as an argument, called by a hook."""

from collections.abc import Callable

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Holder(nn.Module):
    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.others = [shared]

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x)) + self.others[0](x)


class Applies(nn.Module):
    def forward(self, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(x) * 2


@program(x(5, 4), dynamic=BATCH)
class CalledFromElsewhere(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.first, self.second = Holder(self.shared), Holder(self.shared)
        self.applies = Applies()
        self.scales = nn.ModuleList([nn.Linear(4, 4)])
        self.layer = nn.Linear(4, 4)
        self.adapter = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4))
        self.layer.register_forward_hook(lambda module, given, output: output + self.adapter(given[0]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x))
        x = self.applies(x, self.scales[0])
        return torch.stack([self.layer(x), torch.zeros(x.shape[0], 4)])  # in the default dtype


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, shared):
        return flow.tanh(self.fc(x)) + shared(x)


class Applies(nn.Module):
    def forward(self, x, scales):
        return scales(x) * 2


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input, adapter):
        x = F.linear(input, self.weight, self.bias)
        adapter = adapter(input)
        return x + adapter


class CalledFromElsewhere(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.first = Holder()
        self.second = Holder()
        self.applies = Applies()
        self.scales = nn.ModuleList([nn.Linear(4, 4)])
        self.layer = Linear()
        self.adapter = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4))

    def forward(self, x):
        x = self.first(x, self.shared)
        x = self.second(x, self.shared)
        x = self.applies(x, self.scales[0])
        return flow.stack(
            (self.layer(x, self.adapter), flow.zeros((x.shape[0], 4), device=x.device))
        )
