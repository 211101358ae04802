"""Small models that hold plain values, and pass structures between their modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Configured(nn.Module):
    """Holds values of all kinds; only the plain and public ones are recorded."""

    def __init__(self, width: int, window: tuple[int, int] = (7, 7), *, layer: Any = nn.Linear, **rest: Any) -> None:
        super().__init__()
        self.width = width
        self.window_size = list(window)
        self.stride = ((1, 2), None)
        self.scale = float("inf")
        self.mode = "row"
        self._hidden = 1
        self.long = "x" * 1000
        self.many = list(range(1000))
        self.table = {"a": 1}
        self.kind = layer
        self.layer = layer(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.layer(x)


class Cursed(list[int]):
    """A list that can't be looked into."""

    def __len__(self) -> int:
        raise RuntimeError("cursed")


class Hostile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = 1
        self.cursed = Cursed()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)
