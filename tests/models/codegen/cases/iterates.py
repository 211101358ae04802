"""One layer is called again and again; a list is returned."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Iterates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.heads = nn.ModuleList(nn.Linear(4, n) for n in (2, 3, 2))

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for head in self.heads:
            for _ in range(2):
                x = torch.tanh(self.layer(x))
            found.append(head(x))
        return found


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Iterates(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 3), nn.Linear(4, 2)])

    def forward(self, x):
        x = flow.tanh(self.layer(x))
        x = flow.tanh(self.layer(x))
        head = self.heads[0](x)
        x = flow.tanh(self.layer(x))
        x = flow.tanh(self.layer(x))
        head_2 = self.heads[1](x)
        x = flow.tanh(self.layer(x))
        x = flow.tanh(self.layer(x))
        return [head, head_2, self.heads[2](x)]
