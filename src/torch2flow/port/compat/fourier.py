"""Complex tensors out of real ones, Fourier transforms and spectrograms, under PyTorch's signatures."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.complex_numbers import polar
from torch2flow.models.lowering.operators.fourier import fft_of_complex, fft_of_real, fft_to_real
from torch2flow.models.lowering.operators.spectrograms import (
    bartlett_window,
    cosine_window,
    inverse_short_time_fft,
    kaiser_window,
    short_time_fft,
)
from torch2flow.port.compat.complex_functions import FUNCTIONS, as_complex, front, pair_of
from torch2flow.port.compat.complex_tensors import Complex
from torch2flow.port.compat.registry import stands_for

_NONE = "OneFlow has no complex tensors."


@stands_for("torch.view_as_complex", because=_NONE)
def view_as_complex(input):
    return as_complex(input)


@stands_for("torch.view_as_real", because=_NONE)
def view_as_real(input):
    return input.pair


@stands_for("torch.complex", because=_NONE)
def complex_of(real, imag, *, out=None):
    return as_complex(flow.stack(flow.broadcast_tensors(real, imag), dim=-1))


@stands_for("torch.polar", because=_NONE)
def polar_of(abs, angle, *, out=None):
    return as_complex(polar(abs, angle))


def transformed(input, sizes, dim, norm, kind, inverse):
    """A Fourier transform: `complex`, of `real` numbers or `to_real` ones."""
    count = None if sizes is None else len(sizes)
    if dim is None:
        dim = list(range(input.ndim))[-count if count else 0 :]
    dims = front(input, [dim] if isinstance(dim, int) else list(dim))
    if not isinstance(input, Complex) and not input.dtype.is_floating_point:
        input = input.to(flow.float32)
    if kind == "to_real":
        return fft_to_real(pair_of(input, input.pair.dtype if isinstance(input, Complex) else input.dtype),
                           dims, sizes, norm, inverse)  # fmt: skip
    if isinstance(input, Complex):
        return as_complex(fft_of_complex(input.pair, dims, sizes, norm, inverse))
    return as_complex(fft_of_real(input, dims, sizes, norm, inverse, kind == "real"))


def transform_of_one(name, kind, inverse):
    """The Fourier transform of that name, along one dimension."""

    def transform(input, n=None, dim=-1, norm=None, *, out=None):
        return transformed(input, None if n is None else [n], dim, norm, kind, inverse)

    transform.__name__ = transform.__qualname__ = name
    return transform


def transform_of_several(name, dims, kind, inverse):
    """The Fourier transform of that name, along these dimensions, or all of them where that is None."""

    def transform(input, s=None, dim=dims, norm=None, *, out=None):
        return transformed(input, s, dim, norm, kind, inverse)

    transform.__name__ = transform.__qualname__ = name
    return transform


fft = transform_of_one("fft", "complex", False)
fft2 = transform_of_several("fft2", (-2, -1), "complex", False)
fftn = transform_of_several("fftn", None, "complex", False)
ifft = transform_of_one("ifft", "complex", True)
ifft2 = transform_of_several("ifft2", (-2, -1), "complex", True)
ifftn = transform_of_several("ifftn", None, "complex", True)
rfft = transform_of_one("rfft", "real", False)
rfft2 = transform_of_several("rfft2", (-2, -1), "real", False)
rfftn = transform_of_several("rfftn", None, "real", False)
ihfft = transform_of_one("ihfft", "real", True)
ihfft2 = transform_of_several("ihfft2", (-2, -1), "real", True)
ihfftn = transform_of_several("ihfftn", None, "real", True)
irfft = transform_of_one("irfft", "to_real", True)
irfft2 = transform_of_several("irfft2", (-2, -1), "to_real", True)
irfftn = transform_of_several("irfftn", None, "to_real", True)
hfft = transform_of_one("hfft", "to_real", False)
hfft2 = transform_of_several("hfft2", (-2, -1), "to_real", False)
hfftn = transform_of_several("hfftn", None, "to_real", False)

for _transform in (
    fft, fft2, fftn, ifft, ifft2, ifftn, rfft, rfft2, rfftn,
    ihfft, ihfft2, ihfftn, irfft, irfft2, irfftn, hfft, hfft2, hfftn,
):  # fmt: skip
    stands_for(f"torch.fft.{_transform.__name__}", because=_NONE)(_transform)


@stands_for("torch.fft.fftfreq", because="OneFlow has no `fft`.")
def fftfreq(n, d=1.0, *, dtype=None, device=None, **options):
    positive = flow.arange((n + 1) // 2, dtype=dtype or flow.float32, device=device)
    return flow.cat([positive, flow.arange(-(n // 2), 0, dtype=dtype or flow.float32, device=device)]) / (n * d)


@stands_for("torch.fft.rfftfreq", because="OneFlow has no `fft`.")
def rfftfreq(n, d=1.0, *, dtype=None, device=None, **options):
    return flow.arange(n // 2 + 1, dtype=dtype or flow.float32, device=device) / (n * d)


def shifted(input, dim, sign):
    dims = list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    for each in dims:
        half = input.shape[each] // 2
        move = FUNCTIONS["roll"] if isinstance(input, Complex) else flow.roll
        input = move(input, half if sign > 0 else -half, each % input.ndim)
    return input


@stands_for("torch.fft.fftshift", because="OneFlow has no `fft`.")
def fftshift(input, dim=None):
    return shifted(input, dim, 1)


@stands_for("torch.fft.ifftshift", because="OneFlow has no `fft`.")
def ifftshift(input, dim=None):
    return shifted(input, dim, -1)


@stands_for("torch.stft", "torch.Tensor.stft", because=_NONE)
def stft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=None,
    return_complex=None,
):
    made = short_time_fft(
        input, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided is not False
    )
    return as_complex(made) if return_complex else made


@stands_for("torch.istft", "torch.Tensor.istft", because=_NONE)
def istft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    normalized=False,
    onesided=None,
    length=None,
    return_complex=False,
):
    if return_complex:
        raise NotImplementedError("an inverse transform to complex signals")
    pair = input.pair if isinstance(input, Complex) else input
    return inverse_short_time_fft(pair, n_fft, hop_length, win_length, window, center, normalized, length)


_WINDOWS = "OneFlow has the Hann window alone."


def placed(window, device):
    return window if device is None else window.to(device)


@stands_for("torch.hamming_window", because=_WINDOWS)
def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, device=None, **options):
    return placed(cosine_window(window_length, periodic, dtype or flow.float32, alpha, beta), device)


@stands_for("torch.blackman_window", because=_WINDOWS)
def blackman_window(window_length, periodic=True, *, dtype=None, device=None, **options):
    return placed(cosine_window(window_length, periodic, dtype or flow.float32, 0.42, 0.5, 0.08), device)


@stands_for("torch.bartlett_window", because=_WINDOWS)
def bartlett_window_of(window_length, periodic=True, *, dtype=None, device=None, **options):
    return placed(bartlett_window(window_length, periodic, out_dtype=dtype or flow.float32), device)


@stands_for("torch.kaiser_window", because=_WINDOWS)
def kaiser_window_of(window_length, periodic=True, beta=12.0, *, dtype=None, device=None, **options):
    return placed(kaiser_window(window_length, periodic, beta, out_dtype=dtype or flow.float32), device)
