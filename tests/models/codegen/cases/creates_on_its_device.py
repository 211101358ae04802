"""What a model makes lies where its inputs do; autocast is told."""

import torch
from programs import program, x
from torch import Tensor, nn


@program(x(3, 6, 4), dynamic={0: ("batch", "time", None)}, gradients=False)
class Creates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        time = x.shape[1]
        mask = torch.full((time, time), float("-inf"), device=x.device).triu(1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = self.fc(x)
        weights = (x.float() @ x.float().mT + mask).softmax(-1)
        return weights * torch.linspace(0, 1, time, device=x.device)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Creates(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        if x.shape[1] != 6:
            raise ValueError(
                "x.shape[1] must be 6: PyTorch's code goes another way for other sizes"
            )
        mask = flow.triu(flow.full((6, 6), float("-inf"), dtype=flow.float32, device=x.device), 1)
        x = self.fc(x)
        weights = F.softmax(
            flow.matmul(x.to(flow.float32), x.to(flow.float32).transpose(-2, -1)) + mask, dim=-1
        )
        return weights * flow.linspace(0, 1, 6, dtype=flow.float32, device=x.device)
