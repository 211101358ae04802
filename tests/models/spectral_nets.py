"""Small models with complex numbers, Fourier transforms and spectrograms, as their authors write them.

Each is the heart of a published one; `Together` has them all, so that one capture, and one port, says of all.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class SpectralConv2d(nn.Module):
    """Of the Fourier neural operator: a product of the lowest frequencies with complex weights."""

    def __init__(self, channels=4, modes=3):
        super().__init__()
        self.modes = modes
        self.low = nn.Parameter(torch.rand(channels, channels, modes, modes, dtype=torch.cfloat) / channels)
        self.high = nn.Parameter(torch.rand(channels, channels, modes, modes, dtype=torch.cfloat) / channels)

    def forward(self, x):
        spectrum = torch.fft.rfft2(x)
        out = torch.zeros(*x.shape[:2], x.size(-2), x.size(-1) // 2 + 1, dtype=torch.cfloat, device=x.device)
        m = self.modes
        out[:, :, :m, :m] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, :m, :m], self.low)
        out[:, :, -m:, :m] = torch.einsum("bixy,ioxy->boxy", spectrum[:, :, -m:, :m], self.high)
        return torch.fft.irfft2(out, s=(x.size(-2), x.size(-1)))


class GlobalFilter(nn.Module):
    """Of GFNet: a filter of all frequencies."""

    def __init__(self, dim=4, height=8, width=5):
        super().__init__()
        self.complex_weight = nn.Parameter(torch.randn(height, width, dim, 2) * 0.1)

    def forward(self, x):
        x = torch.fft.rfft2(x.permute(0, 2, 3, 1), dim=(1, 2), norm="ortho")
        x = x * torch.view_as_complex(self.complex_weight)
        return torch.fft.irfft2(x, s=(8, 8), dim=(1, 2), norm="ortho")


class AFNO(nn.Module):
    """Of the adaptive Fourier neural operator: layers of real and imaginary parts, apart."""

    def __init__(self, dim=4):
        super().__init__()
        self.w = nn.Parameter(torch.randn(2, 2, dim // 2, dim // 2))
        self.b = nn.Parameter(torch.randn(2, 2, dim // 2) * 0.1)

    def forward(self, x):
        spectrum = torch.fft.rfft2(x, dim=(1, 2), norm="ortho")
        z = spectrum.reshape(*x.shape[:2], x.shape[2] // 2 + 1, 2, -1)
        real = torch.einsum("...bi,bio->...bo", z.real, self.w[0]) - torch.einsum("...bi,bio->...bo", z.imag, self.w[1])
        imag = torch.einsum("...bi,bio->...bo", z.imag, self.w[0]) + torch.einsum("...bi,bio->...bo", z.real, self.w[1])
        z = F.softshrink(torch.stack([F.relu(real + self.b[0]), F.relu(imag + self.b[1])], dim=-1), 0.01)
        z = torch.view_as_complex(z).reshape(*x.shape[:2], x.shape[2] // 2 + 1, -1)
        return torch.fft.irfft2(z, s=x.shape[1:3], dim=(1, 2), norm="ortho") + x


class LongConvolution(nn.Module):
    """Of S4D: the kernel of a diagonal state space, convolved by Fourier transforms, as Hyena does too."""

    def __init__(self, channels=4, states=3):
        super().__init__()
        self.log_dt = nn.Parameter(torch.rand(channels) - 3)
        self.c = nn.Parameter(torch.view_as_real(torch.randn(channels, states, dtype=torch.cfloat)))
        self.log_real = nn.Parameter(torch.zeros(channels, states) - 0.7)
        self.imag = nn.Parameter(math.pi * torch.arange(states).float().repeat(channels, 1))
        self.skip = nn.Parameter(torch.randn(channels))

    def forward(self, u):
        length = u.size(-1)
        a = -torch.exp(self.log_real) + 1j * self.imag
        step = a * torch.exp(self.log_dt).unsqueeze(-1)
        c = torch.view_as_complex(self.c) * (torch.exp(step) - 1.0) / a
        powers = torch.exp(step.unsqueeze(-1) * torch.arange(length, device=u.device))
        kernel = 2 * torch.einsum("hn,hnl->hl", c, powers).real
        spectrum = torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
        return torch.fft.irfft(spectrum, n=2 * length)[..., :length] + u * self.skip.unsqueeze(-1)


class AutoCorrelation(nn.Module):
    """Of Autoformer: which delays of a series are most like it."""

    def forward(self, q, k, v):
        spectrum = torch.fft.rfft(q, dim=-1) * torch.conj(torch.fft.rfft(k, dim=-1))
        correlation = torch.fft.irfft(spectrum, n=q.shape[-1], dim=-1).mean(1)
        weights, delays = torch.topk(correlation, 2, dim=-1)
        weights = torch.softmax(weights, dim=-1)
        twice = v.repeat(1, 1, 2)
        places = torch.arange(v.shape[-1], device=v.device).view(1, 1, -1) + delays[:, :1].unsqueeze(-1)
        return torch.gather(twice, -1, places.expand(-1, v.shape[1], -1)) * weights[:, :1].unsqueeze(-1)


def rotated(x, turns):
    """Meta's rotary embedding."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    turns = turns.view(*[size if i in (1, pairs.ndim - 1) else 1 for i, size in enumerate(pairs.shape)])
    return torch.view_as_real(pairs * turns).flatten(3).type_as(x)


class Rotary(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        angles = torch.outer(torch.arange(16), 1 / 10000 ** (torch.arange(0, dim, 2).float() / dim))
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles))
        self.plain = self.turns.clone()

    def forward(self, x):
        x = x.transpose(1, 2).unsqueeze(2).contiguous()
        return rotated(x, self.turns[: x.shape[1]]) + rotated(x, self.plain.to(x.device)[: x.shape[1]])


class LogMel(nn.Module):
    """As torchaudio and Whisper have it, and the cepstrum of it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(20))
        self.register_buffer("mel", torch.rand(6, 11))
        self.register_buffer("dct", torch.randn(6, 4))

    def forward(self, x):
        power = torch.stft(x, 20, 8, window=self.window, return_complex=True)[..., :-1].abs() ** 2
        mel = torch.clamp(self.mel @ power, min=1e-10).log10()
        mel = torch.maximum(mel, mel.amax(dim=(-2, -1), keepdim=True) - 2.0)
        return (mel.transpose(1, 2) @ self.dct).transpose(1, 2)


class Denoiser(nn.Module):
    """A mask on a spectrogram, and back; and how far the spectra are apart."""

    def __init__(self):
        super().__init__()
        self.mask = nn.Conv1d(9, 9, 3, padding=1)
        self.register_buffer("window", torch.hamming_window(16))

    def forward(self, x):
        z = torch.stft(x, 16, 4, window=self.window, normalized=True, return_complex=True)
        mask = torch.sigmoid(self.mask(z.abs()))
        out = torch.istft(z * mask, 16, 4, window=self.window, normalized=True, length=x.shape[-1])
        phase = torch.polar(mask, z.angle())
        distance = torch.norm(torch.fft.fft(x, norm="ortho") - torch.fft.fftshift(torch.fft.fft(out, norm="ortho")))
        return out, phase, distance


class ComplexLayers(nn.Module):
    """Complex numbers in and out, layers of complex weights, and inner modules that take complex tensors."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 5, dtype=torch.cfloat), nn.Linear(5, 3, dtype=torch.cfloat)
        self.act = SplitReLU()

    def forward(self, z):
        z = self.act(self.first(z) / 2)
        return self.last(z), {"size": z.abs(), "sum": (1j * z - z.conj() + 1).sum(-1), "square": z**2}


class SplitReLU(nn.Module):
    def forward(self, z):
        return torch.complex(F.relu(z.real), F.relu(z.imag))


class Together(nn.Module):
    def __init__(self):
        super().__init__()
        self.operator, self.filter, self.adaptive = SpectralConv2d(), GlobalFilter(), AFNO()
        self.long, self.correlation, self.rotary = LongConvolution(), AutoCorrelation(), Rotary()
        self.mel, self.denoiser, self.layers = LogMel(), Denoiser(), ComplexLayers()

    def forward(self, image, series, signal, z):
        image = self.adaptive(self.filter(self.operator(image) + image))
        series = self.long(series)
        series = self.correlation(series, series.tanh().roll(2, -1), series), self.rotary(series)
        return image, series, self.mel(signal), self.denoiser(signal), self.layers(z)
