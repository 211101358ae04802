"""An argument is None in the first call and given in the others, as the position bias of T5."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, width: int, has_bias: bool) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.has_bias = has_bias
        if has_bias:
            self.bias = nn.Embedding(3, 3)

    def forward(self, x: Tensor, position_bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        scores = self.query(x) @ x.transpose(1, 2)
        if position_bias is None:
            position_bias = self.bias(torch.arange(3))
        return torch.softmax(scores + position_bias, -1) @ x, position_bias


class Block(nn.Module):
    def __init__(self, width: int, has_bias: bool = False) -> None:
        super().__init__()
        self.attention = Attention(width, has_bias)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, position_bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        out, position_bias = self.attention(self.norm(x), position_bias=position_bias)
        return x + out, position_bias


@program(x(2, 3, 4), dynamic=BATCH)
class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(4, has_bias=i == 0) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        position_bias = None
        for block in self.blocks:
            x, position_bias = block(x, position_bias)
        return x


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Attention(nn.Module):
    def __init__(self, has_bias=False):
        super().__init__()
        self.query = nn.Linear(4, 4)
        self.bias = nn.Embedding(3, 3) if has_bias else None

    def forward(self, x, position_bias=None):
        scores = flow.matmul(self.query(x), x.transpose(1, 2))
        if self.bias is not None:
            position_bias = self.bias(flow.arange(3, dtype=flow.int64, device=x.device))
        return flow.matmul(F.softmax(scores + position_bias, dim=-1), x), position_bias


class Block(nn.Module):
    def __init__(self, has_bias=False):
        super().__init__()
        self.attention = Attention(has_bias=has_bias)
        self.norm = nn.LayerNorm(4)

    def forward(self, x, position_bias=None):
        out, position_bias = self.attention(self.norm(x), position_bias)
        return x + out, position_bias


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(has_bias=True), Block(), Block()])

    def forward(self, x):
        x, position_bias = self.blocks[0](x)
        x, position_bias = self.blocks[1](x, position_bias)
        x, position_bias = self.blocks[2](x, position_bias)
        return x
