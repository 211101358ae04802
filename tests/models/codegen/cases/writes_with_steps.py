"""A write into every second element, and a scan in place that goes through views of views."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 8), dynamic=BATCH)
class WritesWithSteps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x).clone()
        pairs = y.view(-1, 4, 2)
        pairs[:, :, 1].add_(pairs[:, :, 0])
        odd = pairs[:, 1:4:2]
        odd[:, :, 1].mul_(odd[:, :, 0])
        y[:, ::3] = y[:, ::3] * 2
        return y
