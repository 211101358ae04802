"""`while_loop` with a counter, until a value stands still, with a test of several lines, and with names that clash."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop


@program(x(5, 4), dynamic=BATCH)
class LoopsByData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.halt = nn.Linear(4, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.cell(x)

        def still_moves(z: Tensor, error: Tensor, count: Tensor) -> Tensor:
            return (error > 1e-3) & (count < 30)

        def solve(z: Tensor, error: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            new = torch.tanh(z * 0.5 + x)
            return new, (new - z).abs().max(), count + 1

        z, _, _ = while_loop(still_moves, solve, (torch.zeros_like(x), torch.tensor(1.0), torch.tensor(0)))

        def unsure(i: Tensor, y: Tensor) -> Tensor:
            p = torch.sigmoid(self.halt(y)).mean()
            return (p < 0.99) & (i < 3)

        def refine(i: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            h = self.act(y.clone())
            y = torch.cond(h.sum() > 4, lambda h: h - x, lambda h: self.cell(h) + x, (h,))
            return i + 1, y

        count, y = while_loop(unsure, refine, (torch.tensor(0), h))

        def swapped(i: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return i + 1, b * 0.5, a + b

        _, a, b = while_loop(lambda i, a, b: i < 3, swapped, (torch.tensor(0), x, h))
        return z + y, a - b + h, count


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class LoopsByData(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.halt = nn.Linear(4, 1)
        self.act = nn.ReLU()

    def forward(self, x):
        h = self.cell(x)
        z = flow.zeros_like(x)
        error = flow.tensor(1.0, dtype=flow.float32, device=x.device)
        count = flow.tensor(0, dtype=flow.int64, device=x.device)
        while flow.logical_and(error > 0.001, count < 30):
            new = flow.tanh(z * 0.5 + x)
            z, error, count = (new, flow.abs(new - z).max(), count + 1)
        count = flow.tensor(0, dtype=flow.int64, device=x.device)
        y = h
        while True:
            p = flow.sigmoid(self.halt(y)).mean()
            if not flow.logical_and(p < 0.99, count < 3):
                break
            h_2 = self.act(y)
            if h_2.sum() > 4:
                y = h_2 - x
            else:
                y = self.cell(h_2) + x
            count = count + 1
        i = flow.tensor(0, dtype=flow.int64, device=x.device)
        a = x
        b = h
        while i < 3:
            i, a, b = (i + 1, b * 0.5, a + b)
        return z + y, a - b + h, count
