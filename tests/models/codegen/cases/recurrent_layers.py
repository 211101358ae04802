"""Recurrent layers are OneFlow's own; their steps have any number, and their states the author's names."""

import torch
from programs import program, x
from torch import Tensor, nn


@program(x(2, 5, 4), x(2, 3, 4), dynamic={0: ("batch", "steps"), 1: ("batch", "words")})
class RecurrentLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(4, 3, bidirectional=True, batch_first=True)
        self.decoder = nn.LSTM(4, 6, bias=False, batch_first=True)
        self.attention = nn.Linear(6, 6)
        self.layers = nn.ModuleList(nn.GRU(6, 6, batch_first=True) for _ in range(3))
        self.last = nn.RNN(6, 4, 2, nonlinearity="relu", batch_first=True)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        memory, (hidden, cell) = self.encoder(source)
        hidden = torch.cat([hidden[0], hidden[1]], -1).unsqueeze(0)
        cell = torch.cat([cell[0], cell[1]], -1).unsqueeze(0)
        output, _ = self.decoder(target, (hidden, cell))
        scores = torch.softmax(self.attention(output) @ memory.transpose(1, 2), -1)
        output = output + scores @ memory
        for layer in self.layers:
            output = layer(output)[0] + output
        output, hidden = self.last(output)
        return output, hidden[-1]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class RecurrentLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(4, 6, bias=False, batch_first=True)
        self.attention = nn.Linear(6, 6)
        self.layers = nn.ModuleList([nn.GRU(6, 6, batch_first=True) for _ in range(3)])
        self.last = nn.RNN(6, 4, num_layers=2, nonlinearity="relu", batch_first=True)

    def forward(self, source, target):
        memory, (hidden, cell) = self.encoder(source)
        hidden = flow.cat((hidden[0], hidden[1]), dim=-1).unsqueeze(0)
        cell = flow.cat((cell[0], cell[1]), dim=-1).unsqueeze(0)
        output, _ = self.decoder(target, (hidden, cell))
        scores = F.softmax(flow.matmul(self.attention(output), memory.transpose(1, 2)), dim=-1)
        output = output + flow.matmul(scores, memory)
        for layer in self.layers:
            output = layer(output)[0] + output
        output, hidden = self.last(output)
        return output, hidden[-1]
