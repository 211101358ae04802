"""One tensor is passed for several arguments in some calls, as in self-attention beside cross-attention."""

from programs import program, x
from torch import Tensor, nn


class Attn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.fc(q) * k + v


@program(x(2, 4), x(2, 4, seed=2), dynamic={0: ("batch",), 1: ("batch",)})
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Attn()
        self.b = Attn()
        self.c = Attn()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = self.a(x, x, x)
        x = self.b(x, y, y)
        return self.c(x, y, x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, q, k=None):
        if k is None:
            k = q
        return self.fc(q) * k + k


class Attn2(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, q, k):
        return self.fc(q) * k + q


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attn()
        self.b = Attn()
        self.c = Attn2()

    def forward(self, x, y):
        x = self.a(x)
        x = self.b(x, y)
        return self.c(x, y)
