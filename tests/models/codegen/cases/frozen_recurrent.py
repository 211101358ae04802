"""Recurrent layers and attention whose owner keeps them in eval mode never drop; their like beside them do."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(3, 5, 4), dynamic=BATCH)
class FrozenRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(4, 4, num_layers=2, dropout=0.3, batch_first=True)
        self.decoder = nn.LSTM(4, 4, num_layers=2, dropout=0.3, batch_first=True)
        self.gate = nn.GRU(4, 4, num_layers=2, dropout=0.2, batch_first=True)
        self.single = nn.RNN(4, 4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True)
        self.attends = nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        for frozen in (self.encoder, self.gate, self.single, self.attention):
            frozen.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        memory, _ = self.encoder(x)
        h, _ = self.decoder(memory)
        h, _ = self.gate(h)
        h, _ = self.single(h)
        h = h + self.attention(h, memory, memory)[0]
        h = h + self.attends(h, memory, memory)[0]
        return torch.tanh(h)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class MultiheadAttention(nn.Module):
    """PyTorch's `nn.MultiheadAttention`, which OneFlow 0.9.0 lacks.

    Sequences are (length, batch, channels), or (batch, length, channels) with `batch_first`, or without a batch.
    In a mask of bools, True hides; a mask of numbers is added. A query that sees nothing gets zeros.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, batch_first=False):
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.in_proj_weight = nn.Parameter(flow.zeros(3 * embed_dim, embed_dim))
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=True)
        self.in_proj_bias = nn.Parameter(flow.zeros(3 * embed_dim))
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query, key, value):
        if self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._project(query, key, value)
        q, k, v = (
            x.reshape(x.shape[0], x.shape[1], self.num_heads, -1).permute(1, 2, 0, 3)
            for x in (q, k, v)
        )
        scores = flow.matmul(q * q.shape[-1] ** (-0.5), k.transpose(-2, -1))
        weights = F.softmax(scores, dim=-1)
        if self.dropout > 0 and self.training:
            weights = F.dropout(weights, p=self.dropout)
        out = flow.matmul(weights, v).permute(2, 0, 1, 3)
        out = self.out_proj(out.reshape(out.shape[0], out.shape[1], self.embed_dim))
        if self.batch_first:
            out = out.transpose(0, 1)
        return out, weights.mean(dim=1)

    def _project(self, query, key, value):
        weights = self.in_proj_weight.chunk(3)
        biases = self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for (x, w, b) in zip((query, key, value), weights, biases)]


class FrozenRecurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.LSTM(4, 4, num_layers=2, batch_first=True)
        self.decoder = nn.LSTM(4, 4, num_layers=2, batch_first=True, dropout=0.3)
        self.gate = nn.GRU(4, 4, num_layers=2, batch_first=True)
        self.single = nn.RNN(4, 4, batch_first=True)
        self.attention = MultiheadAttention(4, 2, batch_first=True)
        self.attends = MultiheadAttention(4, 2, dropout=0.1, batch_first=True)

    def forward(self, x):
        memory, _ = self.encoder(x)
        h, _ = self.decoder(memory)
        h, _ = self.gate(h)
        h, _ = self.single(h)
        h = h + self.attention(h, memory, memory)[0]
        h = h + self.attends(h, memory, memory)[0]
        return flow.tanh(h)
