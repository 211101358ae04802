"""Small models that hold plain values, and pass structures between their modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Pair(NamedTuple):
    first: Tensor
    second: Tensor | None


@dataclass
class Output:
    states: Tensor
    scale: float = 2.0


class Collects(nn.Module):
    """Takes a list, a dictionary, a tuple, constants; gives a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(
        self,
        items: list[Tensor],
        table: dict[str, Any],
        *more: Tensor,
        flag: bool = True,
        kind: Any = None,
        **rest: Any,
    ) -> Output:
        return Output(self.layer(sum(items)) + table["a"] + more[0] + rest["extra"][1])


class Structured(nn.Module):
    """One list grows and is passed twice, one tuple is passed twice; keywords; None; a dtype; a NamedTuple."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Collects()
        self.pair = Pairs()

    def forward(self, x: Tensor) -> Tensor:
        items, table, shared = [x], {"a": x * 2, "b": None}, (x + 1, x + 2)
        x = self.inner(items, table, x, extra=shared, flag=False).states
        items.append(x)
        x = self.inner(items, {**table}, x, extra=shared, kind=torch.float32).states
        pair = self.pair(Pair(x, None), size=x.shape[0])
        return pair.first * pair.second


class Pairs(nn.Module):
    def forward(self, pair: Pair, size: int = 0, unused: float = 1.0) -> Pair:
        return Pair(torch.relu(pair.first), torch.tanh(pair.first) * size)


class Writes(nn.Module):
    """What is written between two calls is another value in the second; one layer writes into what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.join = Joins()

    def forward(self, x: Tensor) -> Tensor:
        kept = [self.layer(x)]
        a = self.join(kept)
        kept[0].add_(1)
        b = self.join(kept)
        self.relu(kept[0])
        return a + b + self.join(kept)


class Joins(nn.Module):
    def forward(self, kept: list[Tensor]) -> Tensor:
        return torch.cat(kept, 0) * 3


class Shared(nn.Module):
    """One layer under two names, a piece without gradients, a module that is not registered, one past `__call__`."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.b = self.a
        self.hidden = [nn.Sigmoid()]
        self.norm = nn.LayerNorm(4)
        self.same = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        with torch.no_grad():
            y = self.same(self.a[:1](x))
        z = self.norm.forward(self.hidden[0](y))
        return self.norm(z) + x


class Leaks(nn.Module):
    """A tensor reaches a module as an attribute, and leaves another one as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.give, self.take = Gives(), Takes()

    def forward(self, x: Tensor) -> Tensor:
        y = self.give(x)
        self.take.held = [self.give.kept[0]]
        return self.take(y)


class Gives(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def forward(self, x: Tensor) -> Tensor:
        self.kept.append(x * 3)
        return x * 2


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []

    def forward(self, x: Tensor) -> Tensor:
        return x + self.held[0]
