"""A program holds one draw of Python's own random numbers for ever, so that of train mode is left out, and told."""

import random

import numpy as np
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH, gradients=False)
class Skips(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        if self.training and (random.random() < 0.5 or np.random.rand() < 0.5):
            y = y * 2
        return x + y * (1.5 if self.training else 1.0)


# -- becomes -------------------------------------------------------------------------------------------------


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Skips(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = self.fc(x)
        return x + y
