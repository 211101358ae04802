"""A tuple of pairs comes in, one pair for each layer or None, and another one goes out."""

from typing import Any

import torch
from programs import program, x
from torch import Tensor, nn


class Attn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor, past: tuple[Any, ...] | None = None, use_cache: bool = True) -> tuple[Tensor, Any]:
        k, v = self.k(x), self.v(x)
        if past is not None:
            k, v = torch.cat([past[0], k], 1), torch.cat([past[1], v], 1)
        y = (self.q(x) @ k.transpose(1, 2)).softmax(-1) @ v
        return y, (k, v) if use_cache else None


@program(
    x(2, 1, 4),
    ((x(2, 3, 4, seed=4), x(2, 3, 4, seed=5)), (x(2, 3, 4, seed=6), x(2, 3, 4, seed=7)), None),
    gradients=False,
)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Attn() for _ in range(3))

    def forward(self, x: Tensor, past: tuple[Any, ...]) -> tuple[Tensor, Any]:
        present: tuple[Any, ...] = ()
        for layer, p in zip(self.layers, past, strict=True):
            y, kv = layer(x, p)
            x = x + y
            present += (kv,)
        return x, present


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(4, 4)
        self.k = nn.Linear(4, 4)
        self.v = nn.Linear(4, 4)

    def forward(self, x, past=None):
        if past is not None:
            past_1_0, past_1_1 = past
        k = self.k(x)
        v = self.v(x)
        if past is not None:
            k = flow.cat((past_1_0, k), dim=1)
            v = flow.cat((past_1_1, v), dim=1)
        y = flow.matmul(F.softmax(flow.matmul(self.q(x), k.transpose(1, 2)), dim=-1), v)
        return y, (k, v)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Attn() for _ in range(3)])

    def forward(self, x, past):
        past_0_0 = past[0][0]
        past_0_1 = past[0][1]
        past_1_0 = past[1][0]
        past_1_1 = past[1][1]
        y, kv = self.layers[0](x, (past_0_0, past_0_1))
        x = x + y
        y, kv_2 = self.layers[1](x, (past_1_0, past_1_1))
        x = x + y
        y, kv_3 = self.layers[2](x)
        x = x + y
        return x, ((kv[0], kv[1]), (kv_2[0], kv_2[1]), (kv_3[0], kv_3[1]))
