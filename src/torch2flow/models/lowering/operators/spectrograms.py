"""Short-time Fourier transforms, back too, and the windows they are made with."""

import math

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.operators.fourier import fft_of_real, fft_to_real
from torch2flow.models.lowering.operators.special_functions import bessel_i0
from torch2flow.models.lowering.registry import operator


def window_of(window, win_length, n_fft, like):
    """The window with zeros at both ends up to `n_fft` elements; ones where there is none."""
    if window is None:
        window = flow.ones(n_fft if win_length is None else win_length, dtype=like.dtype, device=like.device)
    left = (n_fft - window.shape[0]) // 2
    return F.pad(window, (left, n_fft - window.shape[0] - left)) if window.shape[0] < n_fft else window


@helper
def short_time_fft(
    x, n_fft, hop_length=None, win_length=None, window=None, center=False, pad_mode="reflect", normalized=False,
    onesided=True,
):  # fmt: skip
    """PyTorch's `stft` of real signals, as pairs of real and imaginary parts: [..., frequencies, frames, 2]."""
    rows = x.unsqueeze(0) if x.ndim == 1 else x
    if center:
        rows = F.pad(rows.unsqueeze(1), (n_fft // 2, n_fft // 2), mode=pad_mode).squeeze(1)
    frames = rows.unfold(1, n_fft, n_fft // 4 if hop_length is None else hop_length)
    frames = frames * window_of(window, win_length, n_fft, x)
    made = fft_of_real(frames, [2], None, "ortho" if normalized else None, False, onesided).transpose(1, 2)
    return made.squeeze(0) if x.ndim == 1 else made


@helper
def inverse_short_time_fft(
    x, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, length=None
):  # fmt: skip
    """PyTorch's `istft` to real signals, of pairs of real and imaginary parts."""
    hop = n_fft // 4 if hop_length is None else hop_length
    rows = x.unsqueeze(0) if x.ndim == 3 else x
    frames = fft_to_real(rows.transpose(1, 2), [2], [n_fft], "ortho" if normalized else None)
    window = window_of(window, win_length, n_fft, frames)
    weights = (window**2).expand(1, frames.shape[1], n_fft)
    start, whole = n_fft // 2 if center else 0, n_fft + hop * (frames.shape[1] - 1)
    end = whole - start if length is None else start + length
    made = overlapped(frames * window, hop)[:, start:end] / overlapped(weights, hop)[:, start:end]
    if end > whole:
        made = flow.cat([made, flow.zeros(made.shape[0], end - whole, dtype=made.dtype, device=made.device)], dim=1)
    return made.squeeze(0) if x.ndim == 3 else made


def overlapped(frames, hop):
    """Sums of frames, each of which begins `hop` elements after the one before: [batch, frames, n] to [batch, m]."""
    batch, count, n = frames.shape
    parts = -(-n // hop)
    frames = F.pad(frames, (0, parts * hop - n)).reshape(batch, count, parts, hop)
    made = sum(F.pad(frames[:, :, part], (0, 0, part, parts - 1 - part)) for part in range(parts))
    return made.reshape(batch, -1)[:, : n + hop * (count - 1)]


@operator("aten.stft", "complex.stft.of_real", "aten.stft.center")
def stft(
    self, n_fft, hop_length=None, win_length=None, window=None, center=False, pad_mode="reflect", normalized=False,
    onesided=None, return_complex=None, align_to_window=None,
):  # fmt: skip
    if align_to_window:
        raise NotImplementedError("a window that is aligned to frames")
    return short_time_fft(
        self, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided is not False
    )  # fmt: skip


@operator("complex.istft")
def istft(
    self, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None,
    length=None, return_complex=False,
):  # fmt: skip
    if return_complex:
        raise NotImplementedError("an inverse transform to complex signals")
    return inverse_short_time_fft(self, n_fft, hop_length, win_length, window, center, normalized, length)


# Windows.


@helper
def cosine_window(n, periodic, dtype, a, b, c=0.0):
    """`a - b * cos(x) + c * cos(2 * x)` over one turn."""
    if n == 1:
        return flow.ones(1, dtype=dtype)
    x = flow.arange(n, dtype=flow.float64) * (2 * math.pi / (n if periodic else n - 1))
    return (a - b * flow.cos(x) + c * flow.cos(2 * x)).to(dtype)


@operator("aten.hann_window")
def hann_window(window_length, periodic=True, dtype=None, *, out_dtype):
    return cosine_window(window_length, periodic, out_dtype, 0.5, 0.5)


@operator("aten.hamming_window")
def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, dtype=None, *, out_dtype):
    return cosine_window(window_length, periodic, out_dtype, alpha, beta)


@operator("aten.blackman_window")
def blackman_window(window_length, periodic=True, dtype=None, *, out_dtype):
    return cosine_window(window_length, periodic, out_dtype, 0.42, 0.5, 0.08)


@operator("aten.bartlett_window")
@helper
def bartlett_window(window_length, periodic=True, dtype=None, *, out_dtype):
    """PyTorch's `bartlett_window`: a triangle."""
    if window_length == 1:
        return flow.ones(1, dtype=out_dtype)
    x = flow.arange(window_length, dtype=flow.float64) * (2 / (window_length if periodic else window_length - 1))
    return (1 - (x - 1).abs()).to(out_dtype)


@operator("aten.kaiser_window")
@helper
def kaiser_window(window_length, periodic=True, beta=12.0, dtype=None, *, out_dtype):
    """PyTorch's `kaiser_window`."""
    if window_length == 1:
        return flow.ones(1, dtype=out_dtype)
    x = flow.arange(window_length, dtype=flow.float64) * (2 / (window_length if periodic else window_length - 1)) - 1
    top = bessel_i0(beta * flow.sqrt((1 - x * x).clamp(min=0)))
    return (top / bessel_i0(flow.tensor(beta, dtype=flow.float64))).to(out_dtype)
