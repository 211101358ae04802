"""`forward` reads the weight of another module where it is."""

import torch
from programs import program
from torch import Tensor, nn
from torch.nn import functional as F


@program(torch.tensor([[1, 2, 3], [4, 5, 6]]), dynamic={0: ("batch", "length")})
class Borrows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.bias = nn.Parameter(torch.zeros(7))
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.embed(ids) * self.scale, self.embed.weight, self.bias)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Borrows(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(flow.zeros(7))
        self.scale = nn.Parameter(flow.zeros(()))
        self.embed = nn.Embedding(7, 4)

    def forward(self, ids):
        return F.linear(self.embed(ids) * self.scale, self.embed.weight, self.bias)
