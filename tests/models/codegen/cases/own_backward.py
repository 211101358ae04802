"""A `torch.autograd.Function` of the author's becomes OneFlow's: what it keeps, its numbers, what has no gradient."""

from typing import Any

import torch
from programs import BATCH, program, x
from torch import Tensor, nn


class RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        return grad_output


class ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        ctx.alpha = alpha
        return x

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        return -grad_output * ctx.alpha, None


class Scaled(torch.autograd.Function):
    """The gradient of `scale` is asked for, and `weight` never gets one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, weight: Tensor, power: int) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(x)
        nearest = gate.argmax(1)
        ctx.gate, ctx.shape = gate, x.shape
        ctx.save_for_backward(x, scale)
        ctx.mark_non_differentiable(nearest)
        return x * gate * scale * weight**power, nearest

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, scale = ctx.saved_tensors
        grad_scale = None
        if ctx.needs_input_grad[1]:
            grad_scale = (grad * x).sum(0)
        grad = grad.clone()
        grad[x < -1] = 0
        return (grad * scale * ctx.gate).view(ctx.shape), grad_scale, None, None


class Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight, output = ctx.saved_tensors
        return grad @ weight.t(), x.t() @ (grad * torch.tensor(2.0) * output.sign())


class Round(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return RoundStraightThrough.apply(x * 4) / 4


@program(x(5, 4), dynamic=BATCH)
class OwnBackward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), Round(), nn.Linear(4, 4), Round())
        self.scale = nn.Parameter(torch.ones(4))
        self.weight = nn.Parameter(torch.full((4,), 0.5))
        self.matrix = nn.Parameter(torch.eye(4) * 2)
        self.label, self.domain = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.layers(x)
        x, nearest = Scaled.apply(x, self.scale, self.weight, 2)
        x = Product.apply(x, self.matrix)
        return self.label(x), self.domain(ReverseGradient.apply(x, 0.3)), nearest


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def with_positions(x, value, indices):
    """`x` with `value` at `x[indices]`, or added there; OneFlow's `x[i] = value` fails inside `nn.Graph`."""
    key = [slice(None) if index is None else index for index in indices]
    positions = flow.arange(x.numel(), device=x.device).reshape(*x.shape)[tuple(key)]
    value = value.to(x.dtype).expand(*positions.shape)
    scatter = flow.scatter
    return scatter(x.reshape(-1), 0, positions.reshape(-1), value.reshape(-1)).reshape(*x.shape)


def with_indexed(x, value, indices):
    """`x` with `value` at `x[indices]`, as a new tensor; a single value goes where a mask is true."""
    mask = indices[0]
    if len(indices) == 1 and mask.dtype == flow.bool and (value.numel() == 1):
        return flow.where(
            mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)), value.to(x.dtype).reshape(()), x
        )
    return with_positions(x, value, indices)


class RoundStraightThrough(flow.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return flow.round(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


class Scaled(flow.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, weight):
        gate = flow.sigmoid(x)
        nearest = flow.argmax(gate, dim=1)
        ctx.save_for_backward(gate, x, scale)
        return x * gate * scale * weight**2, nearest

    @staticmethod
    def backward(ctx, grad, _):
        gate, x, scale = ctx.saved_tensors
        grad_scale = (grad * x).sum(dim=(0,))
        return (
            (
                with_indexed(
                    grad, flow.tensor(0.0, dtype=flow.float32, device=grad.device), (x < -1,)
                )
                * scale
                * gate
            ).reshape(grad.shape[0], 4),
            grad_scale,
            None,
        )


class Product(flow.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        out = flow.matmul(x, weight)
        ctx.save_for_backward(x, weight, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, weight, out = ctx.saved_tensors
        return flow.matmul(grad, weight.t()), flow.matmul(
            x.t(), grad * flow.tensor(2.0, dtype=flow.float32, device=grad.device) * flow.sign(out)
        )


class ReverseGradient(flow.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.reshape_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return -grad_output * 0.3


class Round(nn.Module):
    def forward(self, x):
        return RoundStraightThrough.apply(x * 4) / 4


class OwnBackward(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(flow.zeros(4))
        self.weight = nn.Parameter(flow.zeros(4))
        self.matrix = nn.Parameter(flow.zeros(4, 4))
        self.layers = nn.Sequential(nn.Linear(4, 4), Round(), nn.Linear(4, 4), Round())
        self.label = nn.Linear(4, 3)
        self.domain = nn.Linear(4, 2)

    def forward(self, x):
        x = self.layers(x)
        x, nearest = Scaled.apply(x, self.scale, self.weight.detach())
        x = Product.apply(x, self.matrix)
        return self.label(x), self.domain(ReverseGradient.apply(x)), nearest
