"""An inner module returns a dataclass, of which the outer one reads fields."""

from dataclasses import dataclass

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@dataclass
class EncoderOutput:
    last_hidden_state: Tensor
    pooled: Tensor | None = None


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> EncoderOutput:
        hidden = torch.relu(self.fc(x))
        return EncoderOutput(last_hidden_state=hidden, pooled=hidden.mean(1))


@program(x(2, 3, 4), dynamic=BATCH)
class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.encoder(x)
        return self.head(outputs.pooled) + outputs.last_hidden_state.sum(1)[:, :2]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class EncoderOutput(NamedTuple):
    last_hidden_state: flow.Tensor = None
    pooled: flow.Tensor = None


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        hidden = F.relu(self.fc(x))
        return EncoderOutput(last_hidden_state=hidden, pooled=hidden.mean(dim=(1,)))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        outputs = self.encoder(x)
        return self.head(outputs.pooled) + outputs.last_hidden_state.sum(dim=(1,))[:, :2]
