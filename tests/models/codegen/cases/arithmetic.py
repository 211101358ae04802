"""Sizes that are computed from two dynamic ones are read off the tensors."""

import torch
from programs import program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(3, 5, 4), dynamic={0: ("batch", "length")})
class Arithmetic(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        batch, length, width = x.shape
        flat = x.flatten(0, 1)
        doubled = torch.cat([x, x]).reshape(batch * 2, length, 2, width // 2)
        padded = F.pad(x, (0, 0, 1, 2))
        half = x[:, : length // 2]
        return flat, doubled, padded.transpose(1, 2).reshape(batch, -1), half, x.new_ones(batch, length + 1) / length


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


class Arithmetic(nn.Module):
    def forward(self, x):
        flat = x.flatten(0, 1)
        doubled = flow.cat((x, x)).reshape(2 * x.shape[0], x.shape[1], 2, 2)
        padded = F.pad(x, (0, 0, 1, 2))
        half = x[:, : x.shape[1] // 2]
        return (
            flat,
            doubled,
            padded.transpose(1, 2).reshape(x.shape[0], -1),
            half,
            flow.ones((x.shape[0], x.shape[1] + 1), dtype=flow.float32, device=x.device)
            / x.shape[1],
        )
