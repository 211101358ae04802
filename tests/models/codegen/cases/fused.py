"""The first round of a loop makes another call, and variables change places."""

import torch
from programs import program, x
from torch import Tensor, nn


class Fusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, state: Tensor, residual: Tensor | None = None) -> Tensor:
        if residual is not None:
            state = state + self.fc(residual)
        return torch.tanh(state)


@program(x(2, 6), x(2, 6), x(2, 6), dynamic={0: ("batch",), 1: ("batch",), 2: ("batch",)})
class Fused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Fusion() for _ in range(3)])

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        fused = None
        for state, layer in zip([a, b, c], self.layers, strict=True):
            fused = layer(state) if fused is None else layer(fused, state)
        return fused


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, state, residual=None):
        if residual is not None:
            state = state + self.fc(residual)
        return flow.tanh(state)


class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Fusion() for _ in range(3)])

    def forward(self, a, b, c):
        fused = self.layers[0](a)
        fused = self.layers[1](fused, b)
        fused = self.layers[2](fused, c)
        return fused
