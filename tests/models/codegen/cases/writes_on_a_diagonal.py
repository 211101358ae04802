"""Writes on a diagonal and through moved dimensions are seen in the tensor; a sum in place of another dtype too."""

from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 3, 3), dynamic=BATCH)
class WritesOnADiagonal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        x.diagonal(dim1=-2, dim2=-1).fill_(0.5)
        x.movedim(1, -1)[..., 0] = 0
        x += (x > 0).sum(-1, keepdim=True)
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    """`self` with `src` on a diagonal, as a new tensor."""
    positions = flow.diagonal(
        flow.arange(x.numel(), device=x.device).reshape(*x.shape), offset, dim1, dim2
    )
    return flow.scatter(x.reshape(-1), 0, positions.reshape(-1), src.reshape(-1)).reshape(*x.shape)


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


class WritesOnADiagonal(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        x = self.fc(x)
        out = flow.movedim(
            diagonal_scatter(
                x,
                flow.full_like(flow.diagonal(flow.movedim(x, (-2, -1), (0, 1)), 0, 0, 1), 0.5),
                dim1=-2,
                dim2=-1,
            ),
            1,
            -1,
        )
        value = out[:, :, 0]
        out = flow.movedim(
            select_scatter(
                out,
                flow.tensor(0.0, dtype=flow.float32, device=x.device)
                .to(value.dtype)
                .expand(*value.shape),
                2,
                0,
            ),
            -1,
            1,
        )
        x = out + (out > 0).to(flow.int64).sum(dim=(-1,), keepdim=True).to(flow.float32)
        return x
