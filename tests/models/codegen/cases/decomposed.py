"""A program after `run_decompositions()` (addmm, native_layer_norm, no views) gets its modules back."""

from programs import program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(2, 5, 4), decompose=True)
class Decomposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.fc2 = nn.Linear(8, 4, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm(self.fc1(x)))
        x = self.fc2(x).softmax(-1)
        return self.head(x.mean(1))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class Decomposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.fc2 = nn.Linear(8, 4, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.gelu(self.norm(self.fc1(x)))
        x = F.softmax(self.fc2(x), dim=-1)
        return self.head(x.mean(dim=(1,)))
