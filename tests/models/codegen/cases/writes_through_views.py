"""Writes through views of a tensor are seen in the tensor."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4, 6), dynamic=BATCH)
class WritesThroughViews(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        rows = x.view(-1, 6)
        rows.mul_(2)
        turned = x.transpose(1, 2)
        turned.add_(1)
        x[:, 0].zero_()
        x[:, 1:3, ::2] = rows[0, 0]
        return x + turned.permute(0, 2, 1) + rows.view_as(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class WritesThroughViews(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x):
        x_2 = self.fc(x)
        rows = x_2.reshape(-1, 6)
        turned = (rows * 2).reshape(x.shape[0], 4, 6).transpose(1, 2)
        x = (turned + 1).transpose(1, 2)
        x = x.clone()
        x[:, 0] = 0
        x[:, 1:3, ::2] = x.reshape(-1, 6)[0][0]
        return x + x.transpose(1, 2).permute(0, 2, 1) + x.reshape(-1, 6).reshape_as(x)
