"""Constructor arguments get the names of the attributes that the author keeps the numbers in."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.scale = self.head_dim**-0.5
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        weights = torch.softmax(query * self.scale @ key.transpose(-2, -1), -1)
        return (weights @ value).transpose(1, 2).reshape(batch, length, width)


@program(x(2, 3, 8), dynamic=BATCH)
class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Attention(8, 2)
        self.second = Attention(8, 4)
        self.third = Attention(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x)))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Attention(nn.Module):
    def __init__(self, num_heads, head_dim, scale=None):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.scale = scale
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        qkv = (
            self.qkv(x)
            .reshape(x.shape[0], 3, 3, self.num_heads, self.head_dim)
            .permute(2, 0, 3, 1, 4)
        )
        query, key, value = qkv.unbind(0)
        if self.scale is not None:
            weights = F.softmax(flow.matmul(query * self.scale, key.transpose(-2, -1)), dim=-1)
        else:
            weights = F.softmax(flow.matmul(query, key.transpose(-2, -1)), dim=-1)
        return flow.matmul(weights, value).transpose(1, 2).reshape(value.shape[0], 3, 8)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Attention(2, 4, scale=0.5)
        self.second = Attention(4, 2, scale=0.7071067811865476)
        self.third = Attention(8, 1)

    def forward(self, x):
        return self.third(self.second(self.first(x)))
