"""What forward writes into a parameter, by `data` or in `no_grad`, is written here too; what comes after reads it."""

import torch
from programs import BATCH, program, x
from torch import Tensor, nn
from torch.nn import functional as F


@program(x(5, 4), dynamic=BATCH)
class WritesItsWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Linear(4, 4)
        self.teacher = nn.Linear(4, 4).requires_grad_(False)
        self.prototypes = nn.Linear(4, 3, bias=False)
        self.clipped = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.teacher.weight.data.mul_(0.75).add_(self.student.weight.data, alpha=0.25)
        with torch.no_grad():
            self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))
        self.clipped.weight.data = self.clipped.weight.data.clamp(-0.25, 0.25)
        y = self.clipped(x)
        sign = y.clone()
        sign.data = y.data.sign()
        return self.prototypes(self.student(x) * sign + self.teacher(x))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def normalize(x, dim=1, eps=1e-12):
    """PyTorch's `F.normalize`. OneFlow's own bounds the sum of squares by `eps`, and not the norm."""
    return x / flow.clamp(flow.linalg.vector_norm(x, dim=dim, keepdim=True), min=eps)


class WritesItsWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.student = nn.Linear(4, 4)
        self.teacher = nn.Linear(4, 4)
        self.prototypes = nn.Linear(4, 3, bias=False)
        self.clipped = nn.Linear(4, 4)
        self.teacher.requires_grad_(False)

    def forward(self, x):
        if self.training:
            out = self.teacher.weight.detach() * 0.75
            with flow.no_grad():
                self.teacher.weight.copy_(out)
            out = out + 0.25 * self.student.weight.detach()
            with flow.no_grad():
                self.teacher.weight.copy_(out)
                self.prototypes.weight.copy_(normalize(self.prototypes.weight))
        else:
            with flow.no_grad():
                self.prototypes.weight.copy_(normalize(self.prototypes.weight))
        out = flow.clamp(self.clipped.weight.detach(), min=-0.25, max=0.25)
        value = self.clipped.weight.detach()
        out = out.to(value.dtype).expand(*value.shape)
        with flow.no_grad():
            self.clipped.weight.copy_(out)
        y = self.clipped(x)
        out = flow.sign(y.detach())
        value = y.detach()
        sign = out.to(value.dtype).expand(*value.shape).detach() + (y - y.detach())
        return self.prototypes(self.student(x) * sign + self.teacher(x))
