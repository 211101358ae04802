"""A NamedTuple that is registered as PyTorch asks keeps its class and its fields, in another one and with None too."""

from typing import NamedTuple

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch.utils import _pytree


class Inner(NamedTuple):
    scores: Tensor
    mask: Tensor | None = None


class Output(NamedTuple):
    hidden: Tensor
    inner: Inner
    more: dict[str, Tensor]
    nothing: Tensor | None = None


_pytree._register_namedtuple(Inner, serialized_type_name="cases.Inner")
_pytree._register_namedtuple(Output, serialized_type_name="cases.Output")


@program(x(2, 4), dynamic=BATCH, gradients=False)
class ReturnsNamedTuple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Output:
        hidden = self.fc(x)
        return Output(hidden, Inner(torch.relu(hidden)), {"twice": hidden * 2})


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from typing import NamedTuple

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Inner(NamedTuple):
    scores: flow.Tensor = None
    mask: flow.Tensor = None


class Output(NamedTuple):
    hidden: flow.Tensor = None
    inner: flow.Tensor = None
    more: flow.Tensor = None
    nothing: flow.Tensor = None


class ReturnsNamedTuple(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        hidden = self.fc(x)
        return Output(
            hidden=hidden,
            inner=Inner(scores=F.relu(hidden), mask=None),
            more={"twice": hidden * 2},
            nothing=None,
        )
