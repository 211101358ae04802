"""A list that the author appends to and passes on, as DenseNet does, stays a list, and the numbered layers a loop."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class DenseLayer(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, growth)

    def forward(self, features: list[Tensor]) -> Tensor:
        return torch.relu(self.fc(self.norm(torch.cat(features, 1))))


class DenseBlock(nn.ModuleDict):
    def __init__(self, count: int, width: int, growth: int) -> None:
        super().__init__()
        for i in range(count):
            self.add_module(f"layer{i + 1}", DenseLayer(width + i * growth, growth))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


@program(x(2, 4), dynamic=BATCH)
class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block1 = DenseBlock(3, 4, 2)
        self.block2 = DenseBlock(2, 10, 2)
        self.head = nn.Linear(14, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block2(self.block1(x)))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class DenseLayer(nn.Module):
    def __init__(self, normalized_shape):
        super().__init__()
        self.norm = nn.LayerNorm(normalized_shape)
        self.fc = nn.Linear(normalized_shape, 2)

    def forward(self, features):
        return F.relu(self.fc(self.norm(flow.cat(features, dim=1))))


class DenseBlock(nn.Module):
    def __init__(self):
        super().__init__()
        for i in range(3):
            self.add_module(f"layer{i + 1}", DenseLayer(4 + 2 * i))

    def forward(self, x):
        features = [x]
        layer1 = self.layer1(features)
        features.append(layer1)
        layer2 = self.layer2(features)
        features.append(layer2)
        features.append(self.layer3(features))
        return flow.cat(features, dim=1)


class DenseBlock2(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = DenseLayer(10)
        self.layer2 = DenseLayer(12)

    def forward(self, x):
        features = [x]
        layer1 = self.layer1(features)
        features.append(layer1)
        features.append(self.layer2(features))
        return flow.cat(features, dim=1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = DenseBlock()
        self.block2 = DenseBlock2()
        self.head = nn.Linear(14, 3)

    def forward(self, x):
        return self.head(self.block2(self.block1(x)))
