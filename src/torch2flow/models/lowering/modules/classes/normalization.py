"""Normalizations that OneFlow 0.9.0 lacks, or has without an argument of PyTorch's."""
# mypy: ignore-errors

from torch2flow.models.lowering.lazy import F, flow, nn


class LayerNorm(nn.LayerNorm):
    """`nn.LayerNorm` with PyTorch's `bias`: OneFlow 0.9.0 ignores a weight that has no bias beside it."""

    def __init__(self, normalized_shape, eps=1e-05, elementwise_affine=True, bias=True):
        super().__init__(normalized_shape, eps=eps, elementwise_affine=elementwise_affine)
        if not bias:
            self.register_parameter("bias", None)

    def forward(self, x):
        if self.weight is None or self.bias is not None:
            return super().forward(x)
        return F.layer_norm(x, self.normalized_shape, eps=self.eps) * self.weight


class GroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with a weight and no bias."""

    def __init__(self, num_groups, num_channels, eps=1e-05):
        super().__init__(num_groups, num_channels, eps=eps)
        self.register_parameter("bias", None)

    def forward(self, x):
        grouped = x.reshape(x.shape[0], self.num_groups, -1)
        x = F.layer_norm(grouped, grouped.shape[-1:], eps=self.eps).reshape(*x.shape)
        return x * self.weight.reshape(1, -1, *[1] * (x.ndim - 2))


class RMSNorm(nn.Module):
    """PyTorch's `nn.RMSNorm`; OneFlow 0.9.0's has no CPU kernel."""

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.dims = list(range(-len(shape), 0))
        self.eps = eps
        self.register_parameter("weight", nn.Parameter(flow.ones(*shape)) if elementwise_affine else None)

    def forward(self, x):
        eps = flow.finfo(x.dtype).eps if self.eps is None else self.eps
        x = x * flow.rsqrt(flow.square(x).mean(dim=self.dims, keepdim=True) + eps)
        return x if self.weight is None else x * self.weight


class LocalResponseNorm(nn.Module):
    """PyTorch's `nn.LocalResponseNorm`, which OneFlow 0.9.0 lacks."""

    def __init__(self, size, alpha=0.0001, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        squares = flow.square(x)
        # Zeros before and after the channels, so that each has `size` neighbours.
        before, after = (
            flow.zeros(x.shape[0], count, *x.shape[2:], dtype=x.dtype, device=x.device)
            for count in (self.size // 2, (self.size - 1) // 2)
        )
        padded = flow.cat([before, squares, after], dim=1)
        total = sum(padded[:, i : i + x.shape[1]] for i in range(self.size))
        return x / (self.k + self.alpha / self.size * total) ** self.beta


class BatchNorm(nn.Module):
    """PyTorch's batch norm where OneFlow 0.9.0's differs: no momentum, no statistics, a weight without a bias."""

    def __init__(self, num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, bias=True):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_parameter("weight", nn.Parameter(flow.ones(num_features)) if affine else None)
        self.register_parameter("bias", nn.Parameter(flow.zeros(num_features)) if affine and bias else None)
        if track_running_stats:
            self.register_buffer("running_mean", flow.zeros(num_features))
            self.register_buffer("running_var", flow.ones(num_features))
            self.register_buffer("num_batches_tracked", flow.tensor(0, dtype=flow.int64))
        else:
            self.running_mean = self.running_var = None

    def forward(self, x):
        dims, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        if self.training or self.running_mean is None:
            mean, variance = x.mean(dim=dims), x.var(dim=dims, unbiased=False)
            if self.running_mean is not None:
                self._track(mean, x.var(dim=dims, unbiased=True))
        else:
            mean, variance = self.running_mean, self.running_var
        return self._scaled((x - mean.reshape(*shape)) * flow.rsqrt(variance + self.eps).reshape(*shape))

    def _scaled(self, x):
        shape = [1, -1] + [1] * (x.ndim - 2)
        x = x if self.weight is None else x * self.weight.reshape(*shape)
        return x if self.bias is None else x + self.bias.reshape(*shape)

    @flow.no_grad()
    def _track(self, mean, variance):
        self.num_batches_tracked.add_(1)
        # Without a momentum, the mean over all batches so far.
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.copy_((1 - momentum) * self.running_mean + momentum * mean)
        self.running_var.copy_((1 - momentum) * self.running_var + momentum * variance)


class InstanceNorm(BatchNorm):
    """PyTorch's instance norm with running statistics, which OneFlow 0.9.0's keeps and never uses."""

    def forward(self, x):
        if self.running_mean is not None and not self.training:
            return super().forward(x)
        dims = list(range(2, x.ndim))
        mean = x.mean(dim=dims, keepdim=True)
        variance = x.var(dim=dims, unbiased=False, keepdim=True)
        if self.running_mean is not None:
            unbiased = x.var(dim=dims, unbiased=True).mean(dim=0)
            self._track(mean.flatten(1).mean(dim=0), unbiased)
        return self._scaled((x - mean) * flow.rsqrt(variance + self.eps))

    @flow.no_grad()
    def _track(self, mean, variance):
        # Unlike batch norm, PyTorch's instance norm counts no batches.
        self.running_mean.copy_((1 - self.momentum) * self.running_mean + self.momentum * mean)
        self.running_var.copy_((1 - self.momentum) * self.running_var + self.momentum * variance)
