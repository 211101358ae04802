"""Small modules that OneFlow 0.9.0 lacks."""
# mypy: ignore-errors
# ruff: noqa: B905, RUF007 - a generated model may run in a Python that has neither

import math

from torch2flow.models.lowering.lazy import F, flow, nn


class Mish(nn.Module):
    """PyTorch's `nn.Mish`; OneFlow 0.9.0's gives NaN from 100 on."""

    def forward(self, x):
        return x * flow.tanh(F.softplus(x))


class LogSigmoid(nn.Module):
    """PyTorch's `nn.LogSigmoid`; OneFlow 0.9.0's is -inf below -745."""

    def forward(self, x):
        return -F.softplus(-x)


class Tanhshrink(nn.Module):
    """PyTorch's `nn.Tanhshrink`."""

    def forward(self, x):
        return x - flow.tanh(x)


class Softmin(nn.Module):
    """PyTorch's `nn.Softmin`."""

    def __init__(self, dim=None):
        super().__init__()
        self.softmax = nn.Softmax(dim)

    def forward(self, x):
        return self.softmax(-x)


class Softmax2d(nn.Module):
    """PyTorch's `nn.Softmax2d`: over the channels of an image."""

    def forward(self, x):
        return F.softmax(x, dim=-3)


class RReLU(nn.Module):
    """PyTorch's `nn.RReLU`: a slope below zero that is drawn anew in training, and their mean otherwise."""

    def __init__(self, lower=1 / 8, upper=1 / 3):
        super().__init__()
        self.lower, self.upper = lower, upper

    def forward(self, x):
        slope = (self.lower + self.upper) / 2
        if self.training:
            slope = flow.rand(*x.shape, device=x.device).to(x.dtype) * (self.upper - self.lower) + self.lower
        return flow.where(x >= 0, x, x * slope)


class ChannelDropout(nn.Module):
    """PyTorch's `nn.Dropout1d` to `nn.Dropout3d`; OneFlow 0.9.0's take no probability at all."""

    def __init__(self, p=0.5, dims=2):
        super().__init__()
        self.p, self.dims = p, dims

    def forward(self, x):
        if not self.training:
            return x
        kept = flow.ones(*x.shape[: x.ndim - self.dims], *[1] * self.dims, dtype=x.dtype, device=x.device)
        return x * F.dropout(kept, p=self.p)


class AlphaDropout(nn.Module):
    """PyTorch's `nn.AlphaDropout`, and `nn.FeatureAlphaDropout`, which drops whole channels."""

    def __init__(self, p=0.5, whole_channels=False):
        super().__init__()
        self.p, self.whole_channels = p, whole_channels

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        shape = [*x.shape[:2], *[1] * (x.ndim - 2)] if self.whole_channels else list(x.shape)
        kept = (flow.rand(*shape, device=x.device) >= self.p).to(x.dtype)
        # What is dropped becomes SELU's limit below; a and b bring mean and variance back.
        limit = -1.7580993408473766
        a = ((1 - self.p) * (1 + self.p * limit**2)) ** -0.5
        return a * (x * kept + limit * (1 - kept)) - a * limit * self.p


class Unflatten(nn.Module):
    """PyTorch's `nn.Unflatten`: one dimension as several."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, x):
        dim = self.dim % x.ndim
        return x.reshape(*x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :])


class ChannelShuffle(nn.Module):
    """PyTorch's `nn.ChannelShuffle`."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        shape = list(x.shape)
        return x.reshape(shape[0], self.groups, -1, *shape[2:]).transpose(1, 2).reshape(*shape)


class PixelUnshuffle(nn.Module):
    """PyTorch's `nn.PixelUnshuffle`: (..., c, h * r, w * r) becomes (..., c * r * r, h, w)."""

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, x):
        r, (c, h, w) = self.downscale_factor, x.shape[-3:]
        y = x.reshape(-1, c, h // r, r, w // r, r).permute(0, 1, 3, 5, 2, 4)
        return y.reshape(*x.shape[:-3], c * r * r, h // r, w // r)


class Bilinear(nn.Module):
    """PyTorch's `nn.Bilinear`: `x1 @ A @ x2 + b`."""

    def __init__(self, in1_features, in2_features, out_features, bias=True):
        super().__init__()
        bound = in1_features**-0.5
        self.weight = nn.Parameter(flow.zeros(out_features, in1_features, in2_features).uniform_(-bound, bound))
        value = flow.zeros(out_features).uniform_(-bound, bound)
        self.register_parameter("bias", nn.Parameter(value) if bias else None)

    def forward(self, input1, input2):
        out, first, second = self.weight.shape
        left = flow.matmul(input1.reshape(-1, first), self.weight.permute(1, 0, 2).reshape(first, -1))
        x = (left.reshape(-1, out, second) * input2.reshape(-1, 1, second)).sum(dim=-1)
        x = x.reshape(*input1.shape[:-1], out)
        return x if self.bias is None else x + self.bias


class Embedding(nn.Embedding):
    """`nn.Embedding` with PyTorch's `max_norm`: rows that are looked up are scaled down to it, in the weight itself."""

    def __init__(self, *args, max_norm, norm_type=2.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.limit, self.p = max_norm, norm_type

    def forward(self, indices):
        with flow.no_grad():
            used = flow.zeros(self.num_embeddings, 1, device=indices.device)
            used[indices.flatten()] = 1.0
            norm = flow.linalg.vector_norm(self.weight, ord=self.p, dim=1, keepdim=True)
            scale = flow.where(norm > self.limit, self.limit / (norm + 1e-07), flow.ones_like(norm))
            self.weight.copy_(flow.where(used > 0, self.weight * scale, self.weight))
        return super().forward(indices)


class EmbeddingBag(nn.Module):
    """PyTorch's `nn.EmbeddingBag`: sum, mean or max of the embeddings of each bag."""

    def __init__(self, num_embeddings, embedding_dim, mode="mean", include_last_offset=False, padding_idx=None):
        super().__init__()
        self.mode, self.include_last_offset, self.padding_idx = mode, include_last_offset, padding_idx
        self.weight = nn.Parameter(flow.zeros(num_embeddings, embedding_dim).normal_())

    def forward(self, input, offsets=None, per_sample_weights=None):
        if input.ndim == 2:
            bags = list(input.unbind(0))
        else:
            starts = offsets.tolist() if self.include_last_offset else [*offsets.tolist(), input.shape[0]]
            bags = [input[start:end] for start, end in zip(starts, starts[1:])]
        weights = per_sample_weights
        if weights is not None:
            weights = list(weights.unbind(0)) if input.ndim == 2 else [weights[a:b] for a, b in zip(starts, starts[1:])]
        return flow.stack([self._reduce(bag, weights and weights[i]) for i, bag in enumerate(bags)])

    def _reduce(self, bag, weights):
        count = bag.shape[0]
        if self.padding_idx is not None and count:
            kept = flow.nonzero(bag != self.padding_idx).flatten()
            count, bag = kept.shape[0], bag[kept]
            weights = None if weights is None else weights[kept]
        if not count:
            return self.weight[0] * 0
        rows = self.weight[bag]
        if weights is not None:
            rows = rows * weights.unsqueeze(-1)
        if self.mode == "max":
            return rows.max(dim=0)[0]
        return rows.sum(dim=0) if self.mode == "sum" else rows.mean(dim=0)


class LPPool(nn.Module):
    """PyTorch's `nn.LPPool1d` and its siblings: the p-norm of each window."""

    def __init__(self, norm_type, kernel_size, stride, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.count = math.prod(kernel_size)
        pool = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[len(kernel_size)]
        self.pool = pool(kernel_size, stride=stride, ceil_mode=ceil_mode)

    def forward(self, x):
        x = self.pool(x**self.norm_type)
        return (flow.sign(x) * F.relu(flow.abs(x)) * self.count) ** (1 / self.norm_type)


class UpsampleExact(nn.Module):
    """PyTorch's `nn.Upsample(mode="nearest-exact")`: each pixel is that of the source nearest to its centre."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__()
        self.size, self.scale_factor = size, scale_factor

    def forward(self, x):
        for index in range(x.ndim - 2):
            length = x.shape[index + 2]
            if self.size is not None:
                new = self.size if isinstance(self.size, int) else self.size[index]
                step = length / new
            else:
                factor = self.scale_factor if isinstance(self.scale_factor, float) else self.scale_factor[index]
                new, step = int(length * factor), 1 / factor
            places = [min(int((i + 0.5) * step), length - 1) for i in range(new)]
            x = x.index_select(index + 2, flow.tensor(places, dtype=flow.int64, device=x.device))
        return x


class PairwiseDistance(nn.Module):
    """PyTorch's `nn.PairwiseDistance`; OneFlow 0.9.0's differs where two rows are nearly the same."""

    def __init__(self, p=2.0, eps=1e-06, keepdim=False):
        super().__init__()
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return flow.linalg.vector_norm(x1 - x2 + self.eps, ord=self.p, dim=-1, keepdim=self.keepdim)


class DataParallel(nn.Module):
    """Stands for PyTorch's `nn.DataParallel`: calls the one module it holds."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)
