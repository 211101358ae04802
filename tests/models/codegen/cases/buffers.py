"""A buffer that is not in the state dict is made as simply as its values allow; one that is in it is zeros."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        table = x(5, 4, seed=7)
        for name, value in {
            "positions": torch.arange(4),
            "evens": torch.arange(2, 10, 2, dtype=torch.int32)[None],
            "zeros": torch.zeros(1, 4),
            "mean": torch.tensor([0.485, 0.456, 0.406, 0.25]),
            "table": table,
            "again": table.clone(),
            "mask": torch.ones(4, 4, dtype=torch.bool).tril(),
            "scale": torch.tensor(0.5),
            "infinite": torch.full((4, 4), float("-inf")).triu(1),
        }.items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("kept", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) * self.scale + self.zeros + self.positions + self.evens + self.kept
        scores = (x @ self.mask.float() + self.infinite[0]).softmax(-1)
        return scores + self.table[0] - self.again[1]


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

from pathlib import Path

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def constant(name):
    """A tensor that the original made in its constructor and did not put into its state_dict."""
    return flow.load(str(Path(__file__).parent / "constants"))[name]


class Buffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("positions", flow.arange(4), persistent=False)
        self.register_buffer(
            "evens", flow.arange(2, 10, 2, dtype=flow.int32).reshape(1, 4), persistent=False
        )
        self.register_buffer("zeros", flow.zeros((1, 4), dtype=flow.float32), persistent=False)
        self.register_buffer(
            "mean",
            flow.tensor(
                [0.48500001430511475, 0.4560000002384186, 0.4059999883174896, 0.25],
                dtype=flow.float32,
            ),
            persistent=False,
        )
        self.register_buffer("table", constant("table"), persistent=False)
        self.register_buffer("again", constant("table"), persistent=False)
        self.register_buffer(
            "mask",
            flow.tensor(
                [
                    True,
                    False,
                    False,
                    False,
                    True,
                    True,
                    False,
                    False,
                    True,
                    True,
                    True,
                    False,
                    True,
                    True,
                    True,
                    True,
                ],
                dtype=flow.bool,
            ).reshape(4, 4),
            persistent=False,
        )
        self.register_buffer("scale", flow.tensor(0.5, dtype=flow.float32), persistent=False)
        self.register_buffer(
            "infinite",
            flow.tensor(
                [
                    0.0,
                    float("-inf"),
                    float("-inf"),
                    float("-inf"),
                    0.0,
                    0.0,
                    float("-inf"),
                    float("-inf"),
                    0.0,
                    0.0,
                    0.0,
                    float("-inf"),
                    0.0,
                    0.0,
                    0.0,
                    0.0,
                ],
                dtype=flow.float32,
            ).reshape(4, 4),
            persistent=False,
        )
        self.register_buffer("kept", flow.zeros(4))

    def forward(self, x):
        x = (
            (x - self.mean) * self.scale
            + self.zeros
            + self.positions.to(flow.float32)
            + self.evens.to(flow.float32)
        )
        x = x + self.kept
        scores = F.softmax(flow.matmul(x, self.mask.to(flow.float32)) + self.infinite[0], dim=-1)
        return scores + self.table[0] - self.again[1]
