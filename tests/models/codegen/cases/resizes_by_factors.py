"""Sizes that rules ask for are those of the input at hand, not those of the sample."""

import torch.nn.functional as F
from programs import program, x
from torch import Tensor, nn


@program(x(2, 4, 6, 5), dynamic={0: ("batch", None, "height", None)})
class ResizesByFactors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.shuffle(self.conv(x))
        nearest = F.interpolate(x, scale_factor=(2.0, 1.5), mode="nearest-exact")
        smooth = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        return nearest, smooth, x[:, :1].squeeze((1, 3))


# -- becomes -------------------------------------------------------------------------------------------------
# fmt: off

import oneflow as flow
import oneflow.nn as nn


def new_sizes(x, size, factors):
    """The height and width to resize to, by the factors where no size is given; one number is equal."""
    if size is None:
        return [int(x.shape[place + 2] * factor) for (place, factor) in enumerate(factors)]
    return [size] * (x.ndim - 2) if isinstance(size, int) else size


def nearest_exact(x, size, factors):
    """PyTorch's interpolation `nearest-exact`: the pixel whose centre is nearest."""
    for place, length in enumerate(new_sizes(x, size, factors)):
        factor = 1 / factors[place] if factors else x.shape[place + 2] / length
        centre = (flow.arange(length, device=x.device).to(flow.float32) + 0.5) * factor
        index = flow.clamp(flow.floor(centre).to(flow.int64), max=x.shape[place + 2] - 1)
        x = flow.index_select(x, place + 2, index)
    return x


def smoothing_weight(x, mode):
    """A triangle, or a cubic with a = -0.5."""
    if mode == "bilinear":
        return max(1.0 - x, 0.0)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def smoothing_matrix(size, length, align_corners, factor, mode):
    """The weight of each of `size` old pixels in each of `length` new ones, as in PyTorch's UpSampleKernel.cpp."""
    if align_corners:
        scale = (size - 1) / (length - 1) if length > 1 else 0.0
    else:
        scale = 1 / factor if factor else size / length
    reach = (1.0 if mode == "bilinear" else 2.0) * max(scale, 1.0)
    matrix = []
    for place in range(length):
        centre = scale * (place + 0.5)
        first, last = (max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size))
        weights = [0.0] * size
        for pixel in range(first, last):
            weights[pixel] = smoothing_weight(abs(pixel - centre + 0.5) / max(scale, 1.0), mode)
        total = sum(weights)
        matrix.append([weight / total if total else 0.0 for weight in weights])
    return matrix


def resize_smoothly(x, size, align_corners, factors, mode):
    """PyTorch's interpolation with `antialias=True`: a product with a matrix of weights for each dimension."""
    size = new_sizes(x, size, factors)
    rows = smoothing_matrix(x.shape[2], size[0], align_corners, factors and factors[0], mode)
    columns = smoothing_matrix(x.shape[3], size[1], align_corners, factors and factors[1], mode)
    rows, columns = (
        flow.tensor(rows, dtype=x.dtype, device=x.device),
        flow.tensor(columns, dtype=x.dtype, device=x.device),
    )
    return flow.matmul(rows, flow.matmul(x, columns.transpose(0, 1)))


class ChannelShuffle(nn.Module):
    """PyTorch's `nn.ChannelShuffle`."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        shape = list(x.shape)
        return x.reshape(shape[0], self.groups, -1, *shape[2:]).transpose(1, 2).reshape(*shape)


class ResizesByFactors(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.shuffle = ChannelShuffle(2)

    def forward(self, x):
        x = self.shuffle(self.conv(x))
        nearest = nearest_exact(x, None, (2.0, 1.5))
        smooth = resize_smoothly(x, None, False, (0.5, 0.5), "bilinear")
        return nearest, smooth, x[:, :1].squeeze((1,))
