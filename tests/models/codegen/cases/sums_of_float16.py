"""Numbers of float16 are added in float32, as in PyTorch: OneFlow adds them in float16 on the CPU."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class SumsOfFloat16(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 1000)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.fc(x).half()
        return half.sum(dim=1).float(), half.mean(dim=-1, keepdim=True).float(), half.sum().float()


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class SumsOfFloat16(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1000)

    def forward(self, x):
        half = self.fc(x).to(flow.float16)
        return (
            half.to(flow.float32).sum(dim=(1,)).to(flow.float16).to(flow.float32),
            half.to(flow.float32).mean(dim=(-1,), keepdim=True).to(flow.float16).to(flow.float32),
            half.to(flow.float32).sum().to(flow.float16).to(flow.float32),
        )
