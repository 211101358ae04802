"""A head whose result nobody reads: its norm follows the statistics in train mode all the same."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.fc(x))))


@program(x(5, 4), dynamic=BATCH)
class UnreadHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.BatchNorm1d(4)
        self.head, self.auxiliary = Head(), Head()

    def forward(self, x: Tensor) -> Tensor:
        self.seen(x)
        out = self.head(x)
        self.auxiliary(x)
        return out


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(F.relu(self.norm(self.fc(x))))


class UnreadHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = nn.BatchNorm1d(4)
        self.head = Head()
        self.auxiliary = Head()

    def forward(self, x):
        self.seen(x)
        out = self.head(x)
        self.auxiliary(x)
        return out
