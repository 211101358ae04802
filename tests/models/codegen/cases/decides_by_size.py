"""`torch.cond` by a size, and by a bool that is an input; what is done with no gradients in one branch."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), torch.tensor(True), dynamic=BATCH)
class DecidesBySize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.few = nn.Linear(4, 4)
        self.many = nn.Linear(4, 4)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        rows = x.shape[0]

        def guided(x: Tensor) -> Tensor:
            with torch.no_grad():
                target = self.many(x)
            return x - target / rows

        y = torch.cond(x.shape[0] > 6, self.many, self.few, (x,))
        return torch.cond(keep, lambda y: y.cumsum(0).reshape(rows * 2, 2).reshape(rows, 4), guided, (y,))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class DecidesBySize(nn.Module):
    def __init__(self):
        super().__init__()
        self.few = nn.Linear(4, 4)
        self.many = nn.Linear(4, 4)

    def forward(self, x, keep):
        if x.shape[0] > 6:
            y = self.many(x)
        else:
            y = self.few(x)
        if keep:
            keep = flow.cumsum(y, 0).reshape(2 * y.shape[0], 2).reshape(y.shape[0], 4)
        else:
            with flow.no_grad():
                target = self.many(y)
            keep = y - target / y.shape[0]
        return keep
