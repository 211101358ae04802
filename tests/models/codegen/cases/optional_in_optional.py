"""A module that some blocks lack itself holds one that some lack."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Inner(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, out)
        self.norm = nn.LayerNorm(out) if out > 4 else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        return x if self.norm is None else self.norm(x)


class Outer(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, out)
        self.shortcut = Inner(width, out) if width != out else None

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(self.fc(x)) + identity


@program(x(2, 4), dynamic=BATCH)
class OptionalInOptional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Outer(4, 4), Outer(4, 6), Outer(6, 3), Outer(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Inner(nn.Module):
    def __init__(self, in_features, out_features, norm=False):
        super().__init__()
        self.fc = nn.Linear(in_features, out_features)
        self.norm = nn.LayerNorm(6) if norm else None

    def forward(self, x):
        x = self.fc(x)
        return x if self.norm is None else self.norm(x)


class Outer(nn.Module):
    def __init__(self, in_features, out_features, shortcut=False, norm=False):
        super().__init__()
        self.fc = nn.Linear(in_features, out_features)
        self.shortcut = Inner(in_features, out_features, norm=norm) if shortcut else None

    def forward(self, x):
        identity = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.fc(x)) + identity


class OptionalInOptional(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            Outer(4, 4),
            Outer(4, 6, shortcut=True, norm=True),
            Outer(6, 3, shortcut=True),
            Outer(3, 3),
        )

    def forward(self, x):
        return self.blocks(x)
