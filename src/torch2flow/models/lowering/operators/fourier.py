"""Fourier transforms, as far as real numbers go: OneFlow 0.9.0 has no complex ones."""

from __future__ import annotations

import math

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.registry import operator


@operator("torch2flow.real_fftn")
def real_fftn(self, dim):
    """The real part of PyTorch's `fft.fftn`, by products with matrices of cosines and sines."""
    real, imaginary = self, None
    for axis in dim:
        n = self.shape[axis]
        k = flow.arange(n, dtype=self.dtype, device=self.device)
        # Reduced to one turn first: float32 keeps few digits of a large angle.
        angle = flow.fmod(k.unsqueeze(0) * k.unsqueeze(1), n) * (2 * math.pi / n)
        cosine, sine = flow.cos(angle), flow.sin(angle)
        x = real.transpose(axis, -1)
        y = None if imaginary is None else imaginary.transpose(axis, -1)
        real = flow.matmul(x, cosine) if y is None else flow.matmul(x, cosine) + flow.matmul(y, sine)
        imaginary = -flow.matmul(x, sine) if y is None else flow.matmul(y, cosine) - flow.matmul(x, sine)
        real, imaginary = real.transpose(axis, -1), imaginary.transpose(axis, -1)
    return real
