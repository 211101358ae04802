"""Nested inputs are taken apart, and nested outputs put together."""

from typing import Any

from programs import program, x
from torch import Tensor, nn


@program(
    {"image": x(2, 4), "boxes": [x(2, 4, seed=2), x(2, 4, seed=3)]},
    kwargs={"options": {"bias": x(4)}},
    gradients=False,
)
class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, inputs: dict[str, Any], *, options: dict[str, Tensor]) -> dict[str, Any]:
        first, second = inputs["boxes"]
        out = self.fc(inputs["image"]) + options["bias"]
        return {"out": out, "boxes": [first + out, (second, out.sum())], "b c": out * 2}


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow.nn as nn


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, inputs, options):
        image = inputs["image"]
        boxes_0 = inputs["boxes"][0]
        boxes_1 = inputs["boxes"][1]
        bias = options["bias"]
        out = self.fc(image) + bias
        return {"out": out, "boxes": [boxes_0 + out, (boxes_1, out.sum())], "b c": out * 2}
