"""An embedding that is only used by its weight, and tied to a layer that has a bias too: it has none."""

import torch
from programs import program
from torch import Tensor, nn
from torch.nn import functional as F


@program(torch.tensor([[1, 2, 3], [4, 5, 6]]))
class TiedToAnotherLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(F.embedding(ids, self.embed.weight) * 2)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn
import oneflow.nn.functional as F


class TiedToAnotherLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 7, bias=False)
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(F.embedding(ids, self.head.weight) * 2)
