"""An expert that nobody chose gets no rows: its gradient is zero, as PyTorch's, and not what lay in memory."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH)
class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.router = nn.Linear(4, 2)
        with torch.no_grad():
            self.router.bias.copy_(torch.tensor([100.0, -100.0]))

    def forward(self, x: Tensor) -> Tensor:
        out, chosen = torch.zeros_like(x), self.router(x).argmax(-1)
        for number, expert in enumerate(self.experts):
            rows = torch.where(chosen == number)[0]
            out = out.index_add(0, rows, expert(x[rows]))
        return out


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def linear_of_any_rows(x, weight, bias):
    """`linear` of rows of which there may be none: its gradient is then what lay in memory in OneFlow 0.9.0."""
    if x.numel() > 0:
        return F.linear(x, weight, bias)
    nothing = 0 * (weight.sum() + bias.sum())
    return nothing + flow.zeros(
        (*x.shape[:-1], weight.shape[0]), dtype=weight.dtype, device=x.device
    )


def index_add(x, dim, index, source):
    """PyTorch's `index_add`; OneFlow 0.9.0's has no gradient, no integers, and crashes on a negative dimension."""
    if x.ndim == 0:
        return x + source.sum()
    shape = [-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)]
    return flow.scatter_add(
        x, dim % x.ndim, index.reshape(*shape).expand(*source.shape), source.to(x.dtype)
    )


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4))
        self.bias = nn.Parameter(flow.zeros(4))

    def forward(self, input):
        return linear_of_any_rows(input, self.weight, self.bias)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList([Linear() for _ in range(2)])
        self.router = nn.Linear(4, 2)

    def forward(self, x):
        out = flow.zeros_like(x)
        chosen = flow.argmax(self.router(x), dim=-1)
        (rows,) = flow.nonzero(chosen == 0, as_tuple=True)
        (rows_2,) = flow.nonzero(chosen == 1, as_tuple=True)
        out = index_add(
            index_add(out, 0, rows, self.experts[0](x[rows])), 0, rows_2, self.experts[1](x[rows_2])
        )
        return out
