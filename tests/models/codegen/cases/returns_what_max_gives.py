"""What `x.max(1)` and `x.topk(2)` give has names, and keeps them where a model returns it."""

from typing import Any

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Best(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> dict[str, Any]:
        x = self.fc(x)
        return {"best": x.max(dim=1), "top": x.topk(2)}


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


class Max(NamedTuple):
    values: flow.Tensor = None
    indices: flow.Tensor = None


class Topk(NamedTuple):
    values: flow.Tensor = None
    indices: flow.Tensor = None


class Best(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        x = self.fc(x)
        out, out_2 = largest_along(x, 1)
        x, out_3 = flow.topk(x, 2)
        return {"best": Max(values=out, indices=out_2), "top": Topk(values=x, indices=out_3)}
