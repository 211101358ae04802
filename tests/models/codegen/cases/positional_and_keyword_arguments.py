"""One module is called with positional and with keyword arguments, in another order."""

import torch
from programs import program, x
from torch import Tensor, nn


class Fuse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, query: Tensor, key: Tensor, *, scale: Tensor, shift: float = 0.5) -> Tensor:
        return torch.tanh(self.fc(query) - key) * scale + shift


@program(x(2, 4), x(2, 4, seed=2), dynamic={0: ("batch",), 1: ("batch",)})
class Calls(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out = self.fuse(x, y, scale=x)
        out = self.fuse(scale=y, key=out, query=x)
        return self.fuse(out, key=x, scale=out, shift=1.5)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Fuse(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, query, key):
        return flow.tanh(self.fc(query) - key) * query + 0.5

    def forward_2(self, query, key, scale):
        return flow.tanh(self.fc(query) - key) * scale + 0.5

    def forward_3(self, query, key):
        return flow.tanh(self.fc(query) - key) * query + 1.5


class Calls(nn.Module):
    def __init__(self):
        super().__init__()
        self.fuse = Fuse()

    def forward(self, x, y):
        out = self.fuse(x, y)
        out = self.fuse.forward_2(x, out, y)
        return self.fuse.forward_3(out, x)
