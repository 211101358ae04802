"""New tensors: constants, ranges, and tensors like another."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import F, flow, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.zeros", "aten.empty", "aten.empty_strided", "aten.empty_permuted")
def zeros(size, dtype=None, stride=None, physical_layout=None):
    return flow.zeros(tuple(size), dtype=dtype)


@operator("aten.ones")
def ones(size, dtype=None):
    return flow.ones(tuple(size), dtype=dtype)


@operator("aten.full")
def full(size, fill_value, dtype=None, *, out_dtype):
    if not size:
        return flow.tensor(fill_value, dtype=out_dtype)
    return flow.full(tuple(size), fill_value, dtype=out_dtype)


@operator("aten.scalar_tensor")
def scalar_tensor(s, dtype=None, *, out_dtype):
    return flow.tensor(s, dtype=out_dtype)


@operator("aten.zeros_like", "aten.empty_like")
def zeros_like(self, dtype=None):
    return flow.zeros_like(self, dtype=dtype)


@operator("aten.ones_like")
def ones_like(self, dtype=None):
    return flow.ones_like(self, dtype=dtype)


@operator("aten.full_like")
def full_like(self, fill_value, dtype=None):
    return flow.full_like(self, fill_value, dtype=dtype)


@operator("aten.new_zeros", "aten.new_empty", "aten.new_empty_strided")
def new_zeros(self, size, dtype=None, stride=None, *, out_dtype):
    return flow.zeros(tuple(size), dtype=out_dtype, device=self.device)


@operator("aten.new_ones")
def new_ones(self, size, dtype=None, *, out_dtype):
    return flow.ones(tuple(size), dtype=out_dtype, device=self.device)


@operator("aten.new_full")
def new_full(self, size, fill_value, dtype=None, *, out_dtype):
    if not size:
        return flow.tensor(fill_value, dtype=out_dtype, device=self.device)
    return flow.full(tuple(size), fill_value, dtype=out_dtype, device=self.device)


@operator("aten.fill")
def fill(self, value):
    return flow.full_like(self, value)


@operator("aten.fill.Tensor")
def fill_with_tensor(self, value):
    if self.ndim == 0:
        return value.to(self.dtype)
    return value.to(self.dtype).expand(*self.shape)


@operator("aten.zero")
def zero(self):
    return flow.zeros_like(self)


@operator("aten.arange")
def arange(end, dtype=None, *, out_dtype):
    return flow.arange(end, dtype=out_dtype)


@operator("aten.arange.start", "aten.arange.start_step")
def arange_start(start, end, step=1, dtype=None, *, out_dtype):
    if step == 1:
        return flow.arange(start, end, dtype=out_dtype)
    return flow.arange(start, end, step, dtype=out_dtype)


@operator("aten.linspace")
def linspace(start, end, steps, dtype=None, *, out_dtype):
    if steps == 1:
        return flow.tensor([start], dtype=out_dtype)
    if not is_float(out_dtype):
        return flow.linspace(start, end, steps, dtype=flow.float64).to(out_dtype)
    return flow.linspace(start, end, steps, dtype=out_dtype)


@operator("aten.logspace")
def logspace(start, end, steps, base=10.0, dtype=None, *, out_dtype):
    return flow.pow(base, flow.linspace(start, end, steps, dtype=flow.float64)).to(out_dtype)


@operator("aten.eye")
def eye(n, m=None, dtype=None, *, out_dtype):
    if m is None:
        return flow.eye(n, dtype=out_dtype)
    return flow.eye(n, m, dtype=out_dtype)


@operator("aten.tril_indices")
def tril_indices(row, col, offset=0, dtype=None, *, out_dtype):
    return flow.nonzero(flow.tril(flow.ones(row, col), offset)).t().to(out_dtype)


@operator("aten.triu_indices")
def triu_indices(row, col, offset=0, dtype=None, *, out_dtype):
    return flow.nonzero(flow.triu(flow.ones(row, col), offset)).t().to(out_dtype)


@operator("aten.one_hot")
def one_hot(self, num_classes=-1):
    return F.one_hot(self, num_classes=num_classes)
