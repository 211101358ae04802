"""Dropout and random numbers; OneFlow's generator gives other numbers than PyTorch's."""

from __future__ import annotations

from torch2flow.lowering.lazy import F, flow
from torch2flow.lowering.registry import operator


@operator("aten.dropout")
def dropout(input, p, train):
    return F.dropout(input, p=p, training=train)


@operator("aten.native_dropout")
def native_dropout(input, p, train):
    if not train:
        return (input, flow.ones_like(input, dtype=flow.bool))
    return dropout_with_mask(input, p)


def dropout_with_mask(x, p):
    """`dropout`, and which elements it keeps."""
    kept = flow.rand(x.shape, device=x.device) >= p
    return x * kept.to(x.dtype) / (1 - p), kept


@operator("aten.feature_dropout")
def feature_dropout(input, p, train, *, in_ndim):
    if in_ndim == 3:
        return F.dropout1d(input, p=p, training=train)
    if in_ndim == 4:
        return F.dropout2d(input, p=p, training=train)
    return F.dropout3d(input, p=p, training=train)


@operator("aten.alpha_dropout", "aten.feature_alpha_dropout")
def alpha_dropout(input, p, train):
    if not train:
        return input
    raise NotImplementedError("alpha_dropout while training; OneFlow 0.9.0 has none")


@operator("aten.rand")
def rand(size, dtype=None, layout=None, device=None, pin_memory=None, generator=None):
    return flow.rand(tuple(size))


@operator("aten.randn")
def randn(size, dtype=None, layout=None, device=None, pin_memory=None, generator=None):
    return flow.randn(tuple(size))


@operator("aten.rand_like")
def rand_like(self, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None, generator=None):
    return flow.rand(self.shape, device=self.device)


@operator("aten.randn_like")
def randn_like(self, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None, generator=None):
    return flow.randn(self.shape, device=self.device)


@operator("aten.randint")
def randint(high, size, dtype=None, layout=None, device=None, pin_memory=None, generator=None):
    return flow.randint(0, high, tuple(size))


@operator("aten.randint.low")
def randint_low(low, high, size, dtype=None, layout=None, device=None, pin_memory=None, generator=None):
    return flow.randint(low, high, tuple(size))


@operator("aten.randperm")
def randperm(n, dtype=None, layout=None, device=None, pin_memory=None, generator=None):
    return flow.randperm(n)


@operator("aten.bernoulli")
def bernoulli(self, generator=None):
    return flow.bernoulli(self)


@operator("aten.bernoulli.p")
def bernoulli_p(self, p, generator=None):
    return (flow.rand(self.shape, device=self.device) < p).to(self.dtype)


@operator("aten.normal_functional")
def normal_functional(self, mean=0, std=1, generator=None):
    return flow.randn(self.shape, device=self.device) * std + mean


@operator("aten.multinomial")
def multinomial(self, num_samples, replacement=False, generator=None):
    return flow.multinomial(self, num_samples, replacement=replacement)
