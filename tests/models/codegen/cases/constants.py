"""Tensors that are made in `forward`, and one that is a plain attribute."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(2, 4), dynamic=BATCH)
class Constants(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = x(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.tensor([[1.0, 2.0, 3.0, 4.5]])
        half = torch.tensor(0.5)
        x = x @ self.table
        return x * weights * half + torch.arange(4, device=x.device) - torch.full((4,), 2.5) + torch.zeros_like(x)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


class Constants(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer(
            "constant_0",
            flow.tensor([1.0, 2.0, 3.0, 4.5], dtype=flow.float32).reshape(1, 4),
            persistent=False,
        )
        self.register_buffer(
            "table",
            flow.tensor(
                [
                    -1.5255959033966064,
                    -0.7502318024635315,
                    -0.6539809107780457,
                    -1.6094847917556763,
                    -0.1001671776175499,
                    -0.6091889142990112,
                    -0.9797722697257996,
                    -1.6090962886810303,
                    -0.7121446132659912,
                    0.30372199416160583,
                    -0.777314305305481,
                    -0.25145524740219116,
                    -0.22227048873901367,
                    1.6871134042739868,
                    0.22842517495155334,
                    0.46763551235198975,
                ],
                dtype=flow.float32,
            ).reshape(4, 4),
            persistent=False,
        )

    def forward(self, x):
        x = flow.matmul(x, self.table)
        return (
            x * self.constant_0 * flow.tensor(0.5, dtype=flow.float32, device=x.device)
            + flow.arange(4, dtype=flow.int64, device=x.device).to(flow.float32)
            - flow.full((4,), 2.5, dtype=flow.float32, device=x.device)
            + flow.zeros_like(x)
        )
