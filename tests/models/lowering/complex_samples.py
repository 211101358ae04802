"""What models do with complex tensors, each with its arguments: tried like PyTorch's own samples, gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch import randn as r


def z(*sizes: int) -> Tensor:
    return torch.randn(*sizes, dtype=torch.cfloat)


def writes_into_places(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = 1
    y[:, 1] *= 1j
    y.real[:, 2] = 0
    y[0] += y[1]
    return y


def writes_into_parts(x: Tensor) -> Tensor:
    y = x.clone()
    v = torch.view_as_real(y)
    v[..., 1] *= -1
    y.imag.add_(1)
    return y


def writes_whole_pieces(x: Tensor) -> Tensor:
    o = torch.zeros_like(x)
    o[..., :2].copy_(x[..., 1:3])
    o.masked_fill_(x.real > 1, 0)
    return o.mul_(2).div_(3)


COMPLEX_SAMPLES: list[tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]] = [
    (lambda x: x[..., None, 1:3].squeeze(-2), lambda: (z(2, 3, 4),)),
    (lambda x: x[:, [0, 2]][..., -1], lambda: (z(2, 3, 4),)),
    (lambda x, m: x[m > 0], lambda: (z(2, 3), r(2, 3))),
    (lambda x: x.mT @ x.mH.mT, lambda: (z(3, 3),)),
    (lambda x: torch.einsum("bij,bkj->bik", x, x.conj()).diagonal(dim1=1, dim2=2).real, lambda: (z(2, 3, 4),)),
    (lambda x: x.sum((0, -1)), lambda: (z(2, 3, 4),)),
    (lambda x: x.mean(dim=1, keepdim=True) - x.sum(), lambda: (z(2, 3, 4),)),
    (lambda x: (x - x.mean(-1, keepdim=True)).abs().pow(2).mean(-1).sqrt(), lambda: (z(2, 3, 4),)),
    (lambda x, y: torch.where(y > 0, x, 0), lambda: (z(2, 3), r(2, 3))),
    (lambda x, y: torch.where(y > 0, x, y.to(torch.cfloat)), lambda: (z(2, 3), r(2, 3))),
    (lambda x: torch.stack(torch.unbind(x, -1), 0), lambda: (z(2, 3, 4),)),
    (lambda x: torch.cat([a * 2 for a in x.split(2, dim=-1)], -1), lambda: (z(2, 3, 4),)),
    (lambda x: x.repeat(1, 2, 1).flip(-1, 0), lambda: (z(2, 3, 4),)),
    (lambda x: x.unfold(-1, 2, 1).sum(-1), lambda: (z(2, 5),)),
    (lambda x: torch.tril(x) + torch.triu(x, 1), lambda: (z(2, 3, 3),)),
    (lambda x: torch.nn.functional.pad(x, (1, 2, 0, 1)), lambda: (z(2, 3, 4),)),
    (lambda x: x.reshape(-1).view(4, 6).t().contiguous().T, lambda: (z(2, 3, 4),)),
    (lambda x: x / torch.abs(x), lambda: (z(2, 3),)),
    (lambda x: torch.sgn(x) * torch.exp(1j * torch.angle(x)), lambda: (z(2, 3),)),
    (lambda x: x**3 + x**0.5 + 2**1, lambda: (z(2, 3),)),
    (lambda x: 1 / x - 3j / x + x * (2 - 1j) - (1 + 1j), lambda: (z(2, 3),)),
    (lambda r_: r_ * 1j + 2, lambda: (r(2, 3),)),
    (lambda r_: torch.exp(-1j * r_ * torch.arange(3)), lambda: (r(2, 3),)),
    (lambda x: torch.view_as_real(x * 2).sum(-1), lambda: (z(2, 3),)),
    (writes_into_places, lambda: (z(2, 3),)),
    (writes_into_parts, lambda: (z(2, 3),)),
    (writes_whole_pieces, lambda: (z(2, 3),)),
    (lambda x: torch.full((2, 3), 1 + 2j) + torch.ones(2, 3, dtype=torch.cfloat) * x, lambda: (z(2, 3),)),
    (lambda x: torch.ones_like(x) + x.new_zeros(2, 3) + torch.full_like(x, 2), lambda: (z(2, 3),)),
    (lambda x: x.to(torch.complex128), lambda: (z(2, 3),)),
    (lambda x: torch.linalg.norm(x) + torch.linalg.vector_norm(x, dim=-1).sum(), lambda: (z(2, 3),)),
    (lambda x: torch.dot(x, x) + torch.vdot(x, x), lambda: (z(3),)),
    (lambda x, y: torch.matmul(x, y), lambda: (z(2, 3, 4), z(4))),
    (lambda x, y: torch.matmul(x, y) + torch.mv(x, y), lambda: (z(3, 4), z(4))),
    (lambda x, y: torch.nn.functional.linear(x, y), lambda: (z(2, 4), z(3, 4))),
    (lambda x: torch.movedim(x, 0, -1).unsqueeze(1).expand(-1, 2, -1, -1), lambda: (z(2, 3, 4),)),
    (lambda x: torch.roll(x, (1, 1), (0, -1)) + torch.fft.fftshift(x, dim=-1), lambda: (z(2, 4),)),
    (lambda x: x.cumsum(-1) + torch.prod(x, -1, keepdim=True), lambda: (z(2, 4),)),
    (
        lambda x, i: torch.gather(x, 1, i) + torch.index_select(x, 1, i[0]),
        lambda: (z(2, 4), torch.randint(0, 4, (2, 4))),
    ),
    (lambda x: torch.fft.ifft2(torch.fft.fft2(x) * torch.fft.fft2(x).conj()).real, lambda: (r(2, 4, 6),)),
    (lambda x: torch.fft.fft(x, n=7, norm="forward").angle().cos(), lambda: (r(2, 4),)),
    (
        lambda x: torch.fft.irfftn(torch.fft.rfftn(x, dim=(-3, -2, -1)), s=x.shape[-3:], dim=(-3, -2, -1)),
        lambda: (r(2, 3, 4, 5),),
    ),
    (
        lambda x: (x == x.conj()).float() + torch.isnan(x).float() + x.isfinite().float(),
        lambda: (torch.complex(r(3), torch.tensor([0.0, 1.0, 0.0])),),
    ),
    (lambda x: torch.polar(x.abs(), x.angle()) - x, lambda: (z(2, 3),)),
    (lambda x: x.squeeze().permute(1, 0) + x.flatten(1).t(), lambda: (z(2, 1, 3),)),
    (
        lambda x, y: torch.addmm(x, y, y) + torch.baddbmm(x[None], y[None], y[None], alpha=2)[0],
        lambda: (z(3, 3), z(3, 3)),
    ),
    (lambda x: torch.chunk(x, 2, -1)[0] * torch.tensor([1j, 2.0]), lambda: (z(2, 4),)),
    (lambda x: x.tile(2, 3), lambda: (z(2),)),
    (
        lambda x: torch.log(x) + torch.sin(x) + torch.cosh(x) + torch.tanh(x) + x.sqrt() + x.square() + x.reciprocal(),
        lambda: (z(2, 3),),
    ),
    (lambda x: x.abs().max() * x.real.min() + x.numel() + x.shape[-1], lambda: (z(2, 3),)),
    (lambda x: torch.outer(x, x.conj()), lambda: (z(3),)),
    (lambda x: torch.nn.functional.normalize(x.abs(), dim=-1) * x, lambda: (z(2, 3),)),
    (lambda x: x.select(-1, -1).narrow(0, 1, 1), lambda: (z(2, 3),)),
    (lambda x: torch.cumprod(x, -1) + torch.cumprod(x, 0) * 2j, lambda: (z(3, 5),)),
    (lambda x: x.var(-1) + x.std(-1, correction=0) + x.var(), lambda: (z(3, 5),)),
    (lambda x: x.var((0, 2), keepdim=True) * x, lambda: (z(3, 5, 2),)),
    (lambda x: torch.nn.functional.pad(x, (1, 2), mode="reflect"), lambda: (z(2, 3, 5),)),
    (lambda x: torch.nn.functional.pad(x, (1, 2), mode="replicate"), lambda: (z(2, 3, 5),)),
    (lambda x: torch.nn.functional.pad(x, (1, 1, 0, 2), mode="circular"), lambda: (z(2, 3, 5, 4),)),
    (lambda x: torch.nn.functional.pad(x, (1, 2), value=2.0), lambda: (z(3, 5),)),
    (lambda x, y: x.scatter(1, torch.tensor([[0, 2], [1, 0]]), y), lambda: (z(2, 3), z(2, 2))),
    (lambda x, y: x.scatter_add(1, torch.tensor([[0, 0], [1, 0]]), y), lambda: (z(2, 3), z(2, 2))),
    (lambda x: x.index_fill(1, torch.tensor([0, 2]), 1.5) + torch.diff(x, prepend=x[:, :1]), lambda: (z(2, 3),)),
    (lambda x: torch.diag_embed(x) * torch.trace(x[:, :2]) + torch.rot90(x)[:1, :1], lambda: (z(2, 3),)),
    (lambda x: torch.log10(x) + torch.log2(x) + torch.log1p(x) + torch.expm1(x) + torch.tan(x), lambda: (z(2, 3),)),
    (lambda x, y: torch.addcmul(x, x, y, value=2) + torch.addcdiv(x, x, y), lambda: (z(2, 3), z(2, 3))),
    (lambda x, y: torch.linalg.cross(x, y) + torch.cross(y, x * 2, dim=-1), lambda: (z(2, 3), z(2, 3))),
    (lambda x, y: torch.tensordot(x, y, dims=([1, 2], [0, 1])), lambda: (z(2, 3, 4), z(3, 4, 5))),
    (lambda x, y: torch.kron(x, y) + torch.inner(x[0], y[0]), lambda: (z(2, 3), r(2, 3) + 0j)),
    (lambda x: torch.complex(x[0], x[1]).view(3, 1) * torch.ones(1, 2), lambda: (r(2, 3),)),
    (lambda x: x - x.detach().conj().resolve_conj().clone(), lambda: (z(2, 3),)),
    (lambda x: torch.nan_to_num(x.real) + x.imag.clamp(min=0), lambda: (z(2, 3),)),
    (
        lambda x: torch.istft(
            torch.stft(x, 16, 4, window=torch.hann_window(16), return_complex=True) * 2,
            16,
            4,
            window=torch.hann_window(16),
        ),
        lambda: (r(2, 50),),
    ),
    (
        lambda x: torch.stft(
            x, 16, 4, 12, window=torch.hann_window(12), center=False, onesided=False, return_complex=True
        ),
        lambda: (r(50),),
    ),
]
"""A function, and what makes its arguments."""
