"""A linear layer of no inputs gives its bias: OneFlow has no such module, and its product is what lay in memory."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class LayersWithoutInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.down, self.up = nn.Linear(4, 0), nn.Linear(0, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) + self.up(self.down(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(3, 0))
        self.bias = nn.Parameter(flow.zeros(3))

    def forward(self, input):
        return flow.zeros((input.shape[0], 3), dtype=flow.float32, device=input.device) + self.bias


class LayersWithoutInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.down = nn.Linear(4, 0)
        self.up = Linear()

    def forward(self, x):
        return self.fc(x) + self.up(self.down(x))
