"""A complex tensor is a real one with a last dimension of 2: parameters, buffers, inputs, outputs, writes in place."""

import torch
from programs import program, x
from torch import Tensor, nn


class Turn(nn.Module):
    def forward(self, z: Tensor, turns: Tensor) -> Tensor:
        return z * turns[: z.shape[-1]]


@program(x(3, 8), torch.complex(x(3, 4, seed=2), x(3, 4, seed=3)), dynamic={0: ("batch",), 1: ("batch",)})
class Rotates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.complex(x(4, 4, seed=4), x(4, 4, seed=5)))
        self.register_buffer("turns", torch.polar(torch.ones(6), torch.arange(6.0)), persistent=False)
        self.register_buffer("kept", torch.complex(x(4, seed=6), x(4, seed=7)))
        self.turn = Turn()

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        pairs = self.turn(pairs, self.turns) @ self.weight + 2
        spread = torch.zeros(x.shape[0], 5, dtype=torch.cfloat)
        spread[:, 1:] = pairs / (self.kept + z.abs())
        spread.imag[:, 0] += z.angle().sum(-1)
        real = torch.view_as_real(spread).flatten(1)
        both = torch.cat([spread, z.conj()], dim=-1).transpose(0, -1)
        return real, {"both": both, "sums": both.sum(0) * 1j, "sizes": (1j * z - 0.5).exp().abs().mean()}


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def complex_product(x, y):
    """The products of complex numbers."""
    a, b, c, d = (x[..., 0], x[..., 1], y[..., 0], y[..., 1])
    return flow.stack([a * c - b * d, a * d + b * c], dim=-1)


def real_matmul(x, y):
    """`matmul` of all ranks: OneFlow 0.9.0 aborts in the gradient of matrices times one vector."""
    rows, columns = (x.ndim == 1, y.ndim == 1)
    x, y = (x.unsqueeze(0) if rows else x, y.unsqueeze(-1) if columns else y)
    is_empty = 0 in (*x.shape, *y.shape)
    made = (x.unsqueeze(-1) * y.unsqueeze(-3)).sum(dim=-2) if is_empty else flow.matmul(x, y)
    made = made.squeeze(-1) if columns else made
    return made.squeeze(-1 if columns else -2) if rows else made


def complex_matmul(x, y):
    """Products of complex matrices."""
    a, b, c, d = (x[..., 0], x[..., 1], y[..., 0], y[..., 1])
    return flow.stack(
        [real_matmul(a, c) - real_matmul(b, d), real_matmul(a, d) + real_matmul(b, c)], dim=-1
    )


def complex_abs(x):
    """PyTorch's `abs` of complex numbers; at zero its gradient is zero."""
    real, imag = (x[..., 0], x[..., 1])
    size = flow.maximum(real.abs(), imag.abs()).detach()
    is_usual = flow.logical_and(size > 0, size < float("inf"))
    size = flow.where(is_usual, size, flow.ones_like(size))
    square = (real / size) ** 2 + (imag / size) ** 2
    is_zero = square == 0
    root = flow.sqrt(flow.where(is_zero, flow.ones_like(square), square))
    return flow.where(is_zero, flow.zeros_like(root), root * size)


def complex_reciprocal(x):
    """`1 / x` of complex numbers."""
    size = flow.maximum(x[..., 0].abs(), x[..., 1].abs()).detach()
    a, b = (x[..., 0] / size, x[..., 1] / size)
    square = (a**2 + b**2) * size
    return flow.stack([a / square, -b / square], dim=-1)


def complex_angle(x):
    """PyTorch's `angle` of complex numbers; at zero its gradient is zero."""
    real, imag = (x[..., 0], x[..., 1])
    is_zero = flow.logical_and(real == 0, imag == 0)
    real = flow.where(is_zero, flow.ones_like(real), real)
    return flow.atan2(flow.where(is_zero, flow.zeros_like(imag), imag), real)


def conjugate(x):
    """PyTorch's `conj`."""
    return flow.stack([x[..., 0], -x[..., 1]], dim=-1)


def complex_multiple(x, real, imag):
    """Complex numbers times one number."""
    a, b = (x[..., 0], x[..., 1])
    return flow.stack([a * real - b * imag, a * imag + b * real], dim=-1)


def polar(abs, angle):
    """PyTorch's `polar`."""
    return flow.stack([abs * flow.cos(angle), abs * flow.sin(angle)], dim=-1)


def complex_exp(x):
    """`exp` of complex numbers."""
    return polar(flow.exp(x[..., 0]), x[..., 1])


class Turn(nn.Module):
    def forward(self, z, turns):
        return complex_product(z, turns[:4])


class Rotates(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(flow.zeros(4, 4, 2))
        self.register_buffer(
            "turns",
            flow.tensor(
                [
                    1.0,
                    0.0,
                    0.5403022766113281,
                    0.8414709568023682,
                    -0.416146844625473,
                    0.9092974066734314,
                    -0.9899924993515015,
                    0.14112000167369843,
                    -0.6536436080932617,
                    -0.756802499294281,
                    0.28366219997406006,
                    -0.9589242935180664,
                ],
                dtype=flow.float32,
            ).reshape(6, 2),
            persistent=False,
        )
        self.register_buffer("kept", flow.zeros(4, 2))
        self.turn = Turn()

    def forward(self, x, z):
        pairs = x.reshape(x.shape[0], -1, 2)
        value = complex_matmul(self.turn(pairs, self.turns), self.weight)
        pairs = value + flow.tensor((2.0, 0.0), dtype=value.dtype, device=x.device)
        spread = flow.zeros((x.shape[0], 5, 2), dtype=flow.float32, device=x.device)
        value = complex_abs(z)
        spread[:, 1:] = complex_product(
            pairs,
            complex_reciprocal(self.kept + flow.stack([value, flow.zeros_like(value)], dim=-1)),
        )
        out = spread[:, :, 1][:, 0] + complex_angle(z).sum(dim=(-1,))
        spread[:, 0, 1] = out
        spread[:, 0, 1] = out
        real = spread.flatten(1)
        both = flow.cat((spread, conjugate(z)), dim=1).transpose(0, 1)
        value = complex_multiple(z, 0.0, 1.0)
        return real, {
            "both": both,
            "sums": complex_multiple(both.sum(dim=(0,)), 0.0, 1.0),
            "sizes": complex_abs(
                complex_exp(value - flow.tensor((0.5, 0.0), dtype=value.dtype, device=x.device))
            ).mean(),
        }
