"""Of a nested result each caller reads another part: PyTorch's program has no more than that."""

from typing import Any

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Many(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Any]]:
        a = self.fc(x)
        return a, torch.sigmoid(a), {"w": a * 2, "v": [a + 1, a + 2]}


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m1 = Many()
        self.m2 = Many()
        self.m3 = Many()

    def forward(self, x: Tensor) -> Tensor:
        _, y, _ = self.m1(x)
        z = self.m2(y)[2]["v"][1]
        return self.m3(z)[0]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Many(nn.Module):
    def __init__(self, with_sigmoid=False, with_result=False, with_result_2=False):
        super().__init__()
        self.with_sigmoid = with_sigmoid
        self.with_result = with_result
        self.with_result_2 = with_result_2
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        a = self.fc(x)
        if self.with_sigmoid:
            return a, flow.sigmoid(a), {"w": None, "v": [None, None]}
        if self.with_result:
            return a, None, {"w": None, "v": [None, a + 2]}
        if self.with_result_2:
            return a, None, {"w": None, "v": [None, None]}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.m1 = Many(with_sigmoid=True)
        self.m2 = Many(with_result=True)
        self.m3 = Many(with_result_2=True)

    def forward(self, x):
        _, y, _ = self.m1(x)
        z = self.m2(y)
        return self.m3(z[2]["v"][1])[0]
