"""A module puts a key into the dict that it is given, and returns it."""

from programs import BATCH, program, x
from torch import Tensor, nn


class Update(nn.Module):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.fc = nn.Linear(4, 4)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        batch[self.key] = self.fc(batch["x"])
        return batch


@program(x(2, 4), dynamic=BATCH)
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Update("a")
        self.b = Update("b")
        self.c = Update("x")

    def forward(self, x: Tensor) -> Tensor:
        batch = {"x": x}
        batch = self.a(batch)
        batch = self.b(batch)
        batch = self.c(batch)
        return batch["a"] + batch["b"] * batch["x"]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Update(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, batch):
        return {"x": batch["x"], "a": self.fc(batch["x"])}


class Update2(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, batch):
        return {"x": batch["x"], "a": batch["a"], "b": self.fc(batch["x"])}


class Update3(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, batch):
        return {"x": self.fc(batch["x"]), "a": batch["a"], "b": batch["b"]}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Update()
        self.b = Update2()
        self.c = Update3()

    def forward(self, x):
        batch = self.a({"x": x})
        batch_2 = self.b(batch)
        batch_3 = self.c(batch_2)
        return batch["a"] + batch_2["b"] * batch_3["x"]
