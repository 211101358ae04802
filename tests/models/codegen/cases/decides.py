"""`torch.cond` in blocks of one class, in each other, with what lies outside, and an early exit."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch.nn import functional as F


class Gate(nn.Module):
    def __init__(self, dim: int, doubled: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.wide = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.narrow = nn.Linear(dim, dim)
        self.drop = nn.Dropout(0.2)
        self.doubled = doubled

    def forward(self, x: Tensor) -> Tensor:
        def wide(y: Tensor) -> Tensor:
            y = self.drop(self.wide(y))
            return y * 2 if self.doubled else y

        y = torch.cond(x.mean() > 0, wide, self.narrow, (self.norm(x),))
        return x + y


@program(x(5, 4), dynamic=BATCH)
class Decides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Gate(4, doubled) for doubled in (False, True, False))
        self.exit = nn.Linear(4, 3)
        self.deep = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for block in self.blocks:
            x = block(x)
        logits = self.exit(x)
        total = logits.sum()

        def stop(x: Tensor) -> tuple[Tensor, Tensor]:
            return logits * self.scale, total + 1

        def go_on(x: Tensor) -> tuple[Tensor, Tensor]:
            def positive(h: Tensor) -> Tensor:
                y = F.relu(h)
                y.mul_(2)
                return self.last(y)

            h = self.deep(x)
            y = torch.cond(h.sum() > 0, positive, lambda h: self.last(h) - torch.tensor([0.5, 1.0, 1.5]), (h,))
            return y, y.sum()

        return torch.cond(logits.amax() > 1.0, stop, go_on, (x,))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Gate(nn.Module):
    def __init__(self, doubled=False):
        super().__init__()
        self.doubled = doubled
        self.norm = nn.LayerNorm(4)
        self.wide = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        self.narrow = nn.Linear(4, 4)
        self.drop = nn.Dropout(p=0.2)

    def forward(self, x):
        y = self.norm(x)
        if self.doubled:
            if x.mean() > 0:
                y = self.drop(self.wide(y))
                y = y * 2
            else:
                y = self.narrow(y)
        elif x.mean() > 0:
            y = self.drop(self.wide(y))
        else:
            y = self.narrow(y)
        return x + y


class Decides(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", flow.zeros(3))
        self.register_buffer(
            "constant_0", flow.tensor([0.5, 1.0, 1.5], dtype=flow.float32), persistent=False
        )
        self.blocks = nn.ModuleList([Gate(), Gate(doubled=True), Gate()])
        self.exit = nn.Linear(4, 3)
        self.deep = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        logits = self.exit(x)
        total = logits.sum()
        if logits.amax(dim=(0, 1)) > 1.0:
            out = logits * self.scale
            out_2 = total + 1
        else:
            h = self.deep(x)
            if h.sum() > 0:
                y = F.relu(h)
                y = self.last(y * 2)
            else:
                y = self.last(h) - self.constant_0
            out = y
            out_2 = y.sum()
        return out, out_2
