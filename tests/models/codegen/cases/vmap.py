"""A layer that `torch.vmap` calls for each sample becomes operators on all samples."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH)
class Mapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.experts = nn.Parameter(torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.vmap(self.fc)(x)
        return torch.vmap(lambda expert: x @ expert)(self.experts)
