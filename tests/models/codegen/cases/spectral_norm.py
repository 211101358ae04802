"""Captured in train mode: a norm that is frozen, a spectral norm, whose vectors move, and dropout in both modes."""

import torch.nn.functional as F
from programs import BATCH, program, x
from torch import Tensor, nn


@program(x(5, 4), dynamic=BATCH, train=True)
class Spectral(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
        self.norm = nn.BatchNorm1d(4)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.norm(self.fc(x)), 0.25)


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn
import oneflow.nn.functional as F


def normalize(x, dim, eps=1e-12):
    """PyTorch's `F.normalize`. OneFlow's own bounds the sum of squares by `eps`, and not the norm."""
    return x / flow.clamp(flow.linalg.vector_norm(x, dim=dim, keepdim=True), min=eps)


class SpectralNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("_u", flow.zeros(4))
        self.register_buffer("_v", flow.zeros(4))

    def forward(self, weight):
        weight = weight.flatten(1)
        if self.training:
            with flow.no_grad():
                out = normalize(flow.matmul(weight, self._v), dim=0)
                self._u.copy_(out)
                out_2 = normalize(flow.matmul(weight.permute(1, 0), out), dim=0)
                self._v.copy_(out_2)
            return weight / (out * flow.matmul(weight, out_2)).sum()
        return weight / (self._u * flow.matmul(weight, self._v)).sum()


class ParametrizationList(nn.Sequential):
    def __init__(self):
        super().__init__(SpectralNorm())
        self.original = nn.Parameter(flow.zeros(4, 4))

    def forward(self):
        return self[0](self.original)


class ParametrizedLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(flow.zeros(4))
        self.parametrizations = nn.ModuleDict({"weight": ParametrizationList()})

    def forward(self, input):
        weight = self.parametrizations["weight"]()
        return F.linear(input, weight, self.bias)


class BatchNorm1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4))
        self.bias = nn.Parameter(flow.zeros(4))
        self.register_buffer("running_mean", flow.zeros(4))
        self.register_buffer("running_var", flow.zeros(4))
        self.register_buffer("num_batches_tracked", flow.zeros((), dtype=flow.int64))

    def forward(self, input):
        return F.batch_norm(
            input, self.running_mean, self.running_var, weight=self.weight, bias=self.bias
        )


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = ParametrizedLinear()
        self.norm = BatchNorm1d()

    def forward(self, x):
        fc = self.fc(x)
        return F.dropout(self.norm(fc), p=0.25, training=True)
