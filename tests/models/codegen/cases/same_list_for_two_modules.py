"""One list is passed to two modules, grows, and is passed again."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, xs: list[Tensor]) -> Tensor:
        return self.fc(sum(xs))


class Cat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, xs: list[Tensor]) -> Tensor:
        return self.fc(torch.cat(xs, 1))


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.s = Sum()
        self.c = Cat()

    def forward(self, x: Tensor) -> Tensor:
        xs = [x, torch.relu(x)]
        a = self.s(xs)
        b = self.c(xs)
        xs.append(a)
        return self.s(xs) + b


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, xs):
        return self.fc(xs[0] + xs[1])

    def forward_2(self, xs):
        return self.fc(xs[0] + xs[1] + xs[2])


class Cat(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, xs):
        return self.fc(flow.cat(xs, dim=1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = Sum()
        self.c = Cat()

    def forward(self, x):
        xs = F.relu(x)
        xs_2 = [x, xs]
        a = self.s(xs_2)
        b = self.c(xs_2)
        xs_2.append(a)
        return self.s.forward_2(xs_2) + b
