"""`scan`, `map` and `associative_scan`, over any length."""

import torch
from programs import program, x
from torch import Tensor, nn
from torch._higher_order_ops.associative_scan import associative_scan
from torch._higher_order_ops.map import map as map_over
from torch._higher_order_ops.scan import scan


class Recurrent(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.forget = nn.Linear(dim, dim)
        self.write = nn.Linear(dim, dim)

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        def step(carry: dict[str, Tensor], row: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
            f = torch.sigmoid(self.forget(row["x"]))
            c = f * carry["c"] + (1 - f) * self.write(row["x"]) * row["gate"]
            return {"c": c, "n": carry["n"] + f.mean()}, (c * 2, f.sum(-1))

        first = {"c": x.new_zeros(x.shape[0], 4), "n": x.new_zeros(())}
        carry, (out, kept) = scan(step, first, {"x": x, "gate": gate}, dim=1)
        return out + carry["n"], kept


class Selective(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.decay = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        def combine(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return left[0] * right[0], right[0] * left[1] + right[1]

        a = torch.sigmoid(self.decay(x))
        _, h = associative_scan(combine, (a, (1 - a) * self.value(x)), dim=1, reverse=True, combine_mode="generic")
        return x + h * a


@program(x(3, 5, 4), x(3, 5, 4, seed=2), dynamic={0: ("batch", "time"), 1: ("batch", "time")})
class LoopsOverTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.forward_in_time = Recurrent(4)
        self.selective = Selective(4)
        self.each = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out, kept = self.forward_in_time(x, gate)
        out = self.selective(out)

        def one(row: Tensor, scale: Tensor) -> Tensor:
            y = self.each(row)
            return torch.cond(y.sum() > 0, lambda y: y * scale, lambda y: y / 2, (y,))

        every = map_over(one, out, self.scale)
        first = torch.zeros_like(x[:, 0])
        _, backwards = scan(lambda h, row: (h * 0.5 + row, h + row), first, out, dim=1, reverse=True)
        return every, kept, backwards


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.forget = nn.Linear(4, 4)
        self.write = nn.Linear(4, 4)

    def forward(self, x, gate):
        out = flow.zeros((x.shape[0], 4), dtype=flow.float32, device=x.device)
        out_2 = flow.zeros((), dtype=flow.float32, device=x.device)
        out_4 = out
        out = out_2
        out_2 = []
        out_3 = []
        for x_t, gate_t in zip(flow.movedim(x, 1, 0), flow.movedim(gate, 1, 0)):
            f = flow.sigmoid(self.forget(x_t))
            c = f * out_4 + (1 - f) * self.write(x_t) * gate_t
            out_2.append(c * 2)
            out_3.append(f.sum(dim=(-1,)))
            out_4 = c
            out = out + f.mean()
        out_2 = flow.stack(out_2)
        out_3 = flow.stack(out_3)
        out_2 = flow.movedim(out_2, 0, 1)
        kept = flow.movedim(out_3, 0, 1)
        return out_2 + out, kept


class Selective(nn.Module):
    def __init__(self):
        super().__init__()
        self.decay = nn.Linear(4, 4)
        self.value = nn.Linear(4, 4)

    def forward(self, x):
        a = flow.sigmoid(self.decay(x))
        value = self.value(x)
        out = flow.movedim((1 - a) * value, 1, 0)
        out_2 = flow.flip(flow.movedim(a, 1, 0), (0,))
        out = flow.flip(out, (0,))
        state = out_2[0]
        state_2 = out[0]
        out_3 = [state_2]
        for out_2_t, out_t in zip(out_2[1:], out[1:]):
            state = state * out_2_t
            out_t = out_2_t * state_2 + out_t
            out_3.append(out_t)
            state_2 = out_t
        out_3 = flow.stack(out_3)
        h = flow.movedim(flow.flip(out_3, (0,)), 0, 1)
        return x + h * a


class LoopsOverTime(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(flow.zeros(4))
        self.forward_in_time = Recurrent()
        self.selective = Selective()
        self.each = nn.Linear(4, 4)

    def forward(self, x, gate):
        out, kept = self.forward_in_time(x, gate)
        out = self.selective(out)
        every = []
        for out_t in out:
            y = self.each(out_t)
            if y.sum() > 0:
                out_2 = y * self.scale
            else:
                out_2 = y / 2
            every.append(out_2)
        every = flow.stack(every)
        first = flow.zeros_like(x[:, 0])
        h = first
        out_2 = []
        for x_t in flow.flip(flow.movedim(out, 1, 0), (0,)):
            out_2.append(h + x_t)
            h = h * 0.5 + x_t
        out_2 = flow.stack(out_2)
        backwards = flow.movedim(flow.flip(out_2, (0,)), 0, 1)
        return every, kept, backwards
