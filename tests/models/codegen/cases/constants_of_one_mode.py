"""Constants that only the program of train mode has, and a size that only train mode needs."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(4, 4), dynamic=BATCH)
class ConstantsOfOneMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("average", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x) * torch.tensor([1.0, 2.0, 3.0, 5.0])
        if self.training:
            self.average.mul_(torch.tensor(0.75)).add_(y.detach().mean(0) * torch.tensor([0.5, 0.25, 0.125, 0.5]))
            first, second = y.view(2, 2, 4).unbind()
            y = torch.cat([first * 2, second])
        return y + self.average


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class ConstantsOfOneMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("average", flow.zeros(4))
        self.register_buffer(
            "constant_0", flow.tensor([1.0, 2.0, 3.0, 5.0], dtype=flow.float32), persistent=False
        )
        self.register_buffer(
            "constant_2_in_train_mode",
            flow.tensor([0.5, 0.25, 0.125, 0.5], dtype=flow.float32),
            persistent=False,
        )
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        if self.training and x.shape[0] != 4:
            raise ValueError(
                "x.shape[0] must be 4 in train mode: PyTorch's code goes another way for other sizes"
            )
        y = self.fc(x) * self.constant_0
        if self.training:
            out = self.average * flow.tensor(0.75, dtype=flow.float32, device=x.device)
            self.average.copy_(out)
            out = out + y.detach().mean(dim=(0,)) * self.constant_2_in_train_mode
            self.average.copy_(out)
            first, second = y.reshape(2, 2, 4).unbind(0)
            y = flow.cat((first * 2, second))
            return y + out
        return y + self.average
