"""What `topk` and others return has named parts for the caller."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Largest(nn.Module):
    def forward(self, x: Tensor) -> torch.return_types.max:
        return x.max(1)


@program(x(2, 6), dynamic=BATCH)
class ReturnsThem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.largest = Largest()

    def forward(self, x: Tensor) -> dict[str, torch.return_types.topk | Tensor]:
        values, places = self.largest(x)
        return {"best": x.topk(2, 1), "value": values * 2 + places}


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn


def largest_along(x, dim):
    """PyTorch's `max`: the gradient goes to one of several equal values, where OneFlow's shares it."""
    places = flow.max(x.detach(), dim, keepdim=True)[1]
    values = flow.gather(x, dim, places)
    return values.squeeze(dim), places.squeeze(dim)


class Topk(NamedTuple):
    values: flow.Tensor = None
    indices: flow.Tensor = None


class Max(NamedTuple):
    values: flow.Tensor = None
    indices: flow.Tensor = None


class Largest(nn.Module):
    def forward(self, x):
        values, indices = largest_along(x, 1)
        return Max(values=values, indices=indices)


class ReturnsThem(nn.Module):
    def __init__(self):
        super().__init__()
        self.largest = Largest()

    def forward(self, x):
        largest = self.largest(x)
        values, indices = flow.topk(x, 2, dim=1)
        return {
            "best": Topk(values=values, indices=indices),
            "value": largest.values * 2 + largest.indices.to(flow.float32),
        }
