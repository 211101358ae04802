"""A dataclass becomes a NamedTuple and keeps its name; a module whose class has the same name gets a number."""

from dataclasses import dataclass

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        gate = torch.sigmoid(self.fc(x))
        return gate * x if other is None else gate * other


@dataclass
class Detection:
    logits: Tensor
    hidden: Tensor | None = None
    scores: Tensor | None = None


torch.export.register_dataclass(Detection, serialized_type_name="cases.Detection")


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsDataclass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = type("Detection", (Gate,), {})()

    def forward(self, x: Tensor) -> Detection:
        out = self.fc(x)
        return Detection(out, scores=out.softmax(-1))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Detection(NamedTuple):
    logits: flow.Tensor = None
    scores: flow.Tensor = None


class Detection2(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        gate = flow.sigmoid(self.fc(x))
        return gate * x


class ReturnsDataclass(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = Detection2()

    def forward(self, x):
        out = self.fc(x)
        return Detection(logits=out, scores=F.softmax(out, dim=-1))
