"""Fourier transforms. A complex tensor is a real one with a last dimension of 2: see `program/complex_numbers.py`.

OneFlow 0.9.0 has no transform that can be differentiated. Here a transform of up to 64 points is a product with a
matrix of cosines and sines. A longer one of `a * b` points is transforms of `a` and of `b` points with a rotation in
between (Cooley and Tukey), and one of a large prime number of points is a convolution of a power of two (Bluestein).
"""

import math

from torch2flow.models.lowering.lazy import flow, helper
from torch2flow.models.lowering.registry import operator


def unit_circle(rows, columns, n, like):
    """Cosine and sine of `2 * pi * j * k / n`, for `j` below `rows` and `k` below `columns`."""
    j = flow.arange(rows, dtype=flow.float64, device=like.device).unsqueeze(1)
    k = flow.arange(columns, dtype=flow.float64, device=like.device)
    angle = flow.fmod(j * k, n) * (2 * math.pi / n)  # less than one turn: no digits are lost to large angles
    return rounded(flow.cos(angle), like), rounded(flow.sin(angle), like)


def rounded(waves, like):
    """Cosines or sines in the dtype of a tensor; the sine of half a turn is 0, and no rounding error."""
    return flow.where(waves.abs() < 1e-14, flow.zeros_like(waves), waves).to(like.dtype)


def transform(real, imag, n, sign):
    """Sums of `x[j] * exp(sign * 2j * pi * j * k / n)` over `j`, the last dimension; `imag` may be None."""
    if n <= 64:
        cosine, sine = unit_circle(n, n, n, real)
        if imag is None:
            return flow.matmul(real, cosine), flow.matmul(real, sign * sine)
        return (
            flow.matmul(real, cosine) - flow.matmul(imag, sign * sine),
            flow.matmul(real, sign * sine) + flow.matmul(imag, cosine),
        )
    a = max(each for each in range(1, math.isqrt(n) + 1) if n % each == 0)
    if a == 1:
        return transform_of_prime_length(real, imag, n, sign)
    shape, b = real.shape[:-1], n // a
    real = real.reshape(*shape, a, b).transpose(-1, -2)
    imag = None if imag is None else imag.reshape(*shape, a, b).transpose(-1, -2)
    real, imag = transform(real, imag, a, sign)
    cosine, sine = unit_circle(b, a, n, real)
    sine = sign * sine
    real, imag = real * cosine - imag * sine, real * sine + imag * cosine
    real, imag = transform(real.transpose(-1, -2), imag.transpose(-1, -2), b, sign)
    return real.transpose(-1, -2).reshape(*shape, n), imag.transpose(-1, -2).reshape(*shape, n)


def transform_of_prime_length(real, imag, n, sign):
    """`transform` as a convolution, since `2 * j * k = j**2 + k**2 - (k - j)**2` (Bluestein)."""
    j = flow.arange(n, dtype=flow.float64, device=real.device)
    angle = flow.fmod(j * j, 2 * n) * (math.pi / n)
    cosine, sine = rounded(flow.cos(angle), real), sign * rounded(flow.sin(angle), real)
    imag = flow.zeros_like(real) if imag is None else imag
    size = 1 << (2 * n - 2).bit_length()
    nothing = flow.zeros(*real.shape[:-1], size - n, dtype=real.dtype, device=real.device)
    left, left_imag = transform(
        flow.cat([real * cosine - imag * sine, nothing], dim=-1),
        flow.cat([real * sine + imag * cosine, nothing], dim=-1), size, -1,
    )  # fmt: skip
    gap = flow.zeros(size - 2 * n + 1, dtype=real.dtype, device=real.device)
    right, right_imag = transform(
        flow.cat([cosine, gap, cosine[1:].flip(0)], dim=0).unsqueeze(0),
        flow.cat([-sine, gap, -sine[1:].flip(0)], dim=0).unsqueeze(0), size, -1,
    )  # fmt: skip
    real, imag = transform(
        left * right - left_imag * right_imag, left * right_imag + left_imag * right, size, 1
    )  # fmt: skip
    real, imag = real[..., :n] / size, imag[..., :n] / size
    return real * cosine - imag * sine, real * sine + imag * cosine


def rows_along(x, dim, n):
    """A tensor as a matrix whose rows lie along `dim`, cut to `n` elements or filled up with zeros."""
    x = x.transpose(dim, -1)
    x = x.reshape(-1, x.shape[-1])
    if x.shape[-1] >= n:
        return x[:, :n]
    return flow.cat([x, flow.zeros(x.shape[0], n - x.shape[-1], dtype=x.dtype, device=x.device)], dim=1)


def rows_back(rows, like, dim):
    """The reverse of `rows_along` for a tensor with the other sizes of `like`."""
    shape = list(like.shape)
    shape[dim], shape[-1] = shape[-1], rows.shape[-1]
    return rows.reshape(*shape).transpose(dim, -1)


def transform_along(real, imag, dim, n, sign):
    """`transform` along a dimension."""
    rows = None if imag is None else rows_along(imag, dim, n)
    new_real, new_imag = transform(rows_along(real, dim, n), rows, n, sign)
    return rows_back(new_real, real, dim), rows_back(new_imag, real, dim)


def lengths(x, dim, s):
    """How many points the transform has along each dimension."""
    given = [None] * len(dim) if s is None else s
    return [x.shape[axis] if n in (None, -1) else n for axis, n in zip(dim, given, strict=True)]


def scaled(x, sizes, norm, inverse):
    """A sum as `norm` has it: backward (the default), ortho or forward."""
    if norm == "ortho":
        return x * (1 / math.sqrt(math.prod(sizes)))
    return x * (1 / math.prod(sizes)) if inverse == (norm != "forward") else x


@helper
def fft_of_complex(x, dim, s=None, norm=None, inverse=False):
    """PyTorch's `fft.fftn`, or `ifftn`, along dimensions of a complex tensor."""
    sizes = lengths(x, dim, s)
    real, imag = x[..., 0], x[..., 1]
    for axis, n in zip(dim, sizes, strict=True):
        real, imag = transform_along(real, imag, axis, n, 1 if inverse else -1)
    return scaled(flow.stack([real, imag], dim=-1), sizes, norm, inverse)


@helper
def fft_of_real(x, dim, s=None, norm=None, inverse=False, onesided=True):
    """PyTorch's `fft.rfftn` along dimensions of a real tensor; `fft.fftn` if not `onesided`."""
    sizes = lengths(x, dim, s)
    n = sizes[-1]
    real, imag = transform(rows_along(x, dim[-1], n), None, n, 1 if inverse else -1)
    k = flow.arange(n // 2 + 1 if onesided else n, dtype=x.dtype, device=x.device)
    # At frequency 0, and at the highest of an even n, the imaginary part is 0 and not a rounding error: `angle` asks.
    imag = imag[:, : k.shape[0]] * flow.sign(flow.fmod(2 * k, n)) + 0.0
    real, imag = rows_back(real[:, : k.shape[0]], x, dim[-1]), rows_back(imag, x, dim[-1])
    for axis, n in zip(dim[:-1], sizes[:-1], strict=True):
        real, imag = transform_along(real, imag, axis, n, 1 if inverse else -1)
    return scaled(flow.stack([real, imag], dim=-1), sizes, norm, inverse)


@helper
def fft_to_real(x, dim, s=None, norm=None, inverse=True):
    """PyTorch's `fft.irfftn`, or `hfftn` if not `inverse`: of one half of a spectrum whose other half mirrors it."""
    given = [None] * len(dim) if s is None else s
    sizes = [*lengths(x, dim[:-1], given[:-1]), given[-1]]
    if sizes[-1] in (None, -1):
        sizes[-1] = 2 * (x.shape[dim[-1]] - 1)
    real, imag = x[..., 0], x[..., 1]
    for axis, n in zip(dim[:-1], sizes[:-1], strict=True):
        real, imag = transform_along(real, imag, axis, n, 1 if inverse else -1)
    n, like = sizes[-1], real
    half = n // 2 + 1
    real, imag = rows_along(real, dim[-1], half), rows_along(imag, dim[-1], half)
    mirrored = (n + 1) // 2
    real = flow.cat([real, real[:, 1:mirrored].flip(1)], dim=1) if mirrored > 1 else real
    imag = flow.cat([imag, -imag[:, 1:mirrored].flip(1)], dim=1) if mirrored > 1 else imag
    rows, _ = transform(real, imag, n, 1 if inverse else -1)
    return scaled(rows_back(rows, like, dim[-1]), sizes, norm, inverse)


_KINDS = ("", "2", "n")


@operator(*(f"complex.fft_{kind}fft{n}" for kind in ("", "i") for n in _KINDS))
def fft(self, dim, s=None, norm=None, *, name):
    return fft_of_complex(self, dim, s, norm, name.startswith("fft_i"))


@operator(*(f"complex.fft_{kind}fft{n}.of_real" for kind in ("", "i") for n in _KINDS))
def fft_of_real_numbers(self, dim, s=None, norm=None, *, name):
    return fft_of_real(self, dim, s, norm, name.startswith("fft_i"), False)


@operator(*(f"complex.fft_{kind}fft{n}.of_real" for kind in ("r", "ih") for n in _KINDS))
def rfft(self, dim, s=None, norm=None, *, name):
    return fft_of_real(self, dim, s, norm, name.startswith("fft_i"))


@operator(*(f"complex.fft_{kind}fft{n}" for kind in ("ir", "h") for n in _KINDS))
def irfft(self, dim, s=None, norm=None, *, name):
    return fft_to_real(self, dim, s, norm, name.startswith("fft_i"))


_FORWARD = (None, "ortho", "forward")
_INVERSE = ("forward", "ortho", None)
"""What `norm` PyTorch calls the three ways to scale a sum: not, by the root of the count, by the count."""


@operator("complex._fft_r2c.of_real")
def fft_r2c(self, dim, normalization, onesided):
    return fft_of_real(self, dim, None, _FORWARD[normalization], False, onesided)


@operator("complex._fft_c2c")
def fft_c2c(self, dim, normalization, forward):
    return fft_of_complex(self, dim, None, (_FORWARD if forward else _INVERSE)[normalization], not forward)


@operator("complex._fft_c2r")
def fft_c2r(self, dim, normalization, last_dim_size):
    return fft_to_real(self, dim, [-1] * (len(dim) - 1) + [last_dim_size], _INVERSE[normalization])


@operator("aten.fft_fftfreq", "aten.fft_rfftfreq")
def fftfreq(n, d=1.0, dtype=None, *, name, out_dtype):
    positive = flow.arange(0, n // 2 + 1 if name == "fft_rfftfreq" else (n + 1) // 2, dtype=out_dtype)
    if name == "fft_rfftfreq":
        return positive / (n * d)
    return flow.cat([positive, flow.arange(-(n // 2), 0, dtype=out_dtype)], dim=0) / (n * d)


@operator("aten.fft_fftshift", "aten.fft_ifftshift")
def fftshift(self, dim=None, *, name):
    dims = tuple(range(self.ndim) if dim is None else (axis % self.ndim for axis in dim))
    halves = [self.shape[axis] // 2 for axis in dims]
    shifts = halves if name == "fft_fftshift" else [-each for each in halves]
    return self.roll(shifts, dims)
