"""Dropout and batch norm, which act differently in train mode, as modules and as functions."""

from programs import BATCH, program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(4, 6), dynamic=BATCH, gradients=False)
class ActsByMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.norm(x), F.dropout(x, 0.5, self.training), F.dropout(x, 0.5, False), self.drop(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class ActsByMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout()

    def forward(self, x):
        return (
            self.norm(x),
            F.dropout(x, p=0.5, training=self.training),
            F.dropout(x, p=0.5, training=False),
            self.drop(x),
        )
