"""The outer module calls methods of the inner one that are not its `forward`."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 4)

    def encode(self, x: Tensor) -> Tensor:
        return torch.relu(self.fc(x))

    def decode(self, x: Tensor) -> Tensor:
        return self.out(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.vae = Inner()

    def forward(self, x: Tensor) -> Tensor:
        z = self.vae.encode(x)
        return self.vae.decode(z) + self.vae(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 4)

    def forward(self, x):
        return self.out(F.relu(self.fc(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.vae = Inner()

    def forward(self, x):
        return self.vae.out(F.relu(self.vae.fc(x))) + self.vae(x)
