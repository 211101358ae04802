"""An inner module takes a dict and returns one."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Neck(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.ModuleDict({"low": nn.Linear(4, 4), "high": nn.Linear(4, 4)})

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        high = self.lateral["high"](features["high"])
        low = self.lateral["low"](features["low"]) + high
        return {"low": low, "high": high}


@program(x(2, 4), dynamic=BATCH)
class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.neck = Neck()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.neck({"low": x, "high": torch.tanh(x)})
        return self.head(features["low"]) + self.head(features["high"])


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Neck(nn.Module):
    def __init__(self):
        super().__init__()
        self.lateral = nn.ModuleDict({"low": nn.Linear(4, 4), "high": nn.Linear(4, 4)})

    def forward(self, features):
        high = self.lateral["high"](features["high"])
        low = self.lateral["low"](features["low"]) + high
        return {"low": low, "high": high}


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.neck = Neck()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        features = self.neck({"low": x, "high": flow.tanh(x)})
        return self.head(features["low"]) + self.head(features["high"])
