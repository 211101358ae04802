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


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def select_scatter(x, src, dim, index):
    """`self` with `src` at one index of a dimension, as a new tensor."""
    size = x.shape[dim]
    index = index % size
    parts = (
        x.narrow(dim, 0, index),
        src.to(x.dtype).unsqueeze(dim),
        x.narrow(dim, index + 1, size - index - 1),
    )
    return flow.cat([part for part in parts if part.shape[dim] > 0], dim=dim)


def with_positions(x, value, indices):
    """`x` with `value` at `x[indices]`, or added there; OneFlow's `x[i] = value` fails inside `nn.Graph`."""
    key = [slice(None) if index is None else index for index in indices]
    positions = flow.arange(x.numel(), device=x.device).reshape(*x.shape)[tuple(key)]
    value = value.to(x.dtype).expand(*positions.shape)
    scatter = flow.scatter
    return scatter(x.reshape(-1), 0, positions.reshape(-1), value.reshape(-1)).reshape(*x.shape)


class WritesWithSteps(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        y = self.fc(x)
        pairs = y.reshape(-1, 4, 2)
        pairs = select_scatter(pairs, pairs[:, :, 1] + pairs[:, :, 0], 2, 1)
        odd = pairs[:, 1:4:2]
        y = with_positions(
            pairs, select_scatter(odd, odd[:, :, 1] * odd[:, :, 0], 2, 1), (None, slice(1, 4, 2))
        ).reshape(pairs.shape[0], 8)
        y = y.clone()
        y[:, ::3] = y[:, ::3] * 2
        return y
