"""An argument of the middle that was not passed is not there."""

import torch
from programs import program, x
from torch import Tensor, nn


@program(x(2, 4), kwargs={"mask": torch.tensor([True, False, True, True])})
class SkipsAnArgument(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor, scale: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        assert scale is None and mask is not None
        return self.fc(x).masked_fill(~mask, 0.0)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class SkipsAnArgument(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, mask):
        return self.fc(x).masked_fill(flow.logical_not(mask), 0.0)
