"""Dropout and random numbers; OneFlow's generator gives other numbers than PyTorch's."""

import math

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.dropout")
def dropout(input, p, train):
    return F.dropout(input, p=p, training=train)


@operator("aten.native_dropout")
def native_dropout(input, p, train):
    if not train:
        return (input, flow.ones_like(input, dtype=flow.bool))
    return dropout_with_mask(input, p)


@helper
def dropout_with_mask(x, p):
    """`dropout`, and which elements it keeps."""
    kept = flow.rand(x.shape, device=x.device) >= p
    return x * kept.to(x.dtype) / (1 - p), kept


@operator("aten.feature_dropout")
@helper
def feature_dropout(input, p, train):
    """PyTorch's `dropout2d` and its kin: whole channels become zero; OneFlow 0.9.0's have no CPU kernel."""
    if not train or p == 0:
        return input
    if p == 1:
        return input * 0
    kept = flow.rand((input.shape[0], input.shape[1], *[1] * (input.ndim - 2)), device=input.device) >= p
    return input * (kept.to(input.dtype) / (1 - p))


@operator("aten.alpha_dropout", "aten.feature_alpha_dropout")
def alpha_dropout(input, p, train, *, name):
    return drop_to_saturation(input, p=p, training=train, whole=0 if name == "alpha_dropout" else input.ndim - 2)


@helper
def drop_to_saturation(x, p, training=True, whole=0):
    """PyTorch's `alpha_dropout`: what is dropped becomes SELU's limit, and mean and variance are kept."""
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    limit = -1.7580993408473766
    shape = [*x.shape[: x.ndim - whole], *[1] * whole]
    kept = (flow.rand(shape, device=x.device) >= p).to(x.dtype)
    scale = ((1 - p) * (1 + p * limit**2)) ** -0.5
    return scale * (x * kept + limit * (1 - kept) - limit * p)


@operator("aten.rand", "aten.randn")
def random_of_size(size, dtype=None, *, out_dtype, name):
    return getattr(flow, name)(size, dtype=out_dtype)


@operator("aten.rand_like", "aten.randn_like")
def random_like(self, dtype=None, *, out_dtype, name):
    return getattr(flow, name.removesuffix("_like"))(self.shape, dtype=out_dtype, device=self.device)


@operator("aten.randint", "aten.randint.low")
def randint(high, size, low=0, dtype=None, *, out_dtype):
    return flow.randint(low, high, size).to(out_dtype)


@operator("aten.randint_like", "aten.randint_like.low_dtype")
def randint_like(self, high, low=0, dtype=None, *, out_dtype):
    return flow.randint(low, high, self.shape, device=self.device).to(out_dtype)


@operator("aten.randperm")
def randperm(n, dtype=None):
    return flow.randperm(n)


@operator("aten.bernoulli")
def bernoulli(self):
    return flow.bernoulli(self)


@operator("aten.bernoulli.Tensor")
def bernoulli_of_tensor(self, p):
    return flow.bernoulli(p.expand(*self.shape)).to(self.dtype)


@operator("aten.bernoulli.p", "aten.bernoulli.float")
def bernoulli_p(self, p=0.5):
    return (flow.rand(self.shape, device=self.device) < p).to(self.dtype)


@operator("aten.normal", "aten.normal_functional")
def normal(self, mean=0, std=1):
    return flow.randn(self.shape, device=self.device) * std + mean


@operator("aten.uniform")
def uniform(self, from_=0.0, to=1.0):
    return flow.rand(self.shape, device=self.device).to(self.dtype) * (to - from_) + from_


@operator("aten.exponential")
def exponential(self, lambd=1.0):
    return -flow.log(1 - flow.rand(self.shape, device=self.device).to(self.dtype)) / lambd


@operator("aten.log_normal")
def log_normal(self, mean=1.0, std=2.0):
    return flow.exp(flow.randn(self.shape, device=self.device).to(self.dtype) * std + mean)


@operator("aten.cauchy")
def cauchy(self, median=0.0, sigma=1.0):
    return flow.tan(math.pi * (flow.rand(self.shape, device=self.device).to(self.dtype) - 0.5)) * sigma + median


@operator("aten.geometric")
def geometric(self, p):
    drawn = 1 - flow.rand(self.shape, device=self.device)
    return flow.ceil(flow.log(drawn) / math.log(1 - p)).to(self.dtype)


@operator("aten.random.to")
def random_integers(self, to):
    return flow.randint(0, to, self.shape, device=self.device).to(self.dtype)


@operator("aten.multinomial")
def multinomial(self, num_samples, replacement=False):
    return flow.multinomial(self, num_samples, replacement=replacement)


@operator("aten.normal.float_float")
def normal_of_size(mean, std, size, dtype=None, *, out_dtype):
    return flow.randn(size, dtype=out_dtype) * std + mean


@operator("aten.normal.Tensor_float", "aten.normal.float_Tensor")
def normal_by_tensor(mean, std=1):
    like = mean if isinstance(mean, flow.Tensor) else std
    return (flow.randn(like.shape, dtype=like.dtype, device=like.device) * std + mean).detach()


@operator("aten.normal.Tensor_Tensor")
def normal_of_tensors(mean, std, *, out_shape, out_dtype):
    return (flow.randn(out_shape, dtype=out_dtype, device=mean.device) * std + mean).detach()
