"""`generator=None` is no generator: PyTorch's operator with one takes no free sizes, so train mode was lost."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH)
class DrawsWithoutAGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(4, 4)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        mean = self.mean(x)
        if self.training:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
            mean = mean + noise
        return mean


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class DrawsWithoutAGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Linear(4, 4)

    def forward(self, x):
        mean = self.mean(x)
        if self.training:
            noise = flow.randn((x.shape[0], 4), dtype=flow.float32, device=x.device)
            mean = mean + noise
        return mean
