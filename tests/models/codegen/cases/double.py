"""A float64 model is made in float64."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4).double(), dynamic=BATCH)
class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0, 4.0]), persistent=False)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * self.scale + torch.ones(4, dtype=torch.float64)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer(
            "scale", flow.tensor([1.0, 2.0, 3.0, 4.0], dtype=flow.float64), persistent=False
        )
        self.fc = nn.Linear(4, 4)
        self.to(flow.float64)

    def forward(self, x):
        return self.fc(x) * self.scale + flow.ones((4,), dtype=flow.float64, device=x.device)
