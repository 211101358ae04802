"""What an author does in one mode alone stands under `if self.training`, or in the module that does nothing in eval."""

from programs import BATCH, program, x
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Module):
    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        mask = x.new_empty((x.shape[0], 1)).bernoulli_(keep_prob)
        return x * mask.div_(keep_prob)


class Block(nn.Module):
    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 4)
        self.drop_path = DropPath(drop_prob)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.fc(self.norm(x)))


@program(x(5, 4), dynamic=BATCH)
class ByMode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(4, 4), DropPath(0.25), nn.BatchNorm1d(4))
        self.blocks = nn.Sequential(Block(0.125), Block(0.5))
        self.aux = nn.Linear(4, 3)
        self.head = nn.Linear(4, 3)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> "Tensor | tuple[Tensor, list[Tensor]]":
        x = self.stem(x)
        features = F.relu(x)
        x = self.blocks(features)
        logits = self.head(x) * (0.5 if self.training else 1.0)
        if self.training:
            return logits, [self.aux(features), features]
        return self.softmax(logits)


# -- becomes -------------------------------------------------------------------------------------------------


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class DropPath(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.keep_prob = keep_prob

    def forward(self, x):
        if not self.training:
            return x
        value = flow.zeros((x.shape[0], 1), dtype=flow.float32, device=x.device)
        mask = (flow.rand(value.shape, device=value.device) < self.keep_prob).to(value.dtype)
        return x * (mask / self.keep_prob)


class Block(nn.Module):
    def __init__(self, keep_prob):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 4)
        self.drop_path = DropPath(keep_prob)

    def forward(self, x):
        return x + self.drop_path(self.fc(self.norm(x)))


class ByMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(4, 4), DropPath(0.75), nn.BatchNorm1d(4))
        self.blocks = nn.Sequential(Block(0.875), Block(0.5))
        self.aux = nn.Linear(4, 3)
        self.head = nn.Linear(4, 3)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.stem(x)
        features = F.relu(x)
        x = self.blocks(features)
        if self.training:
            logits = self.head(x) * 0.5
            return logits, [self.aux(features), features]
        logits = self.head(x)
        return self.softmax(logits)
