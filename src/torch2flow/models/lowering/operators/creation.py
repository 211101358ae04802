"""New tensors: constants, ranges, and tensors like another."""

from torch2flow.models.lowering.lazy import F, flow, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.zeros", "aten.ones", "aten.empty", "aten.empty_strided", "aten.empty_permuted")
def zeros_or_ones(size, dtype=None, stride=None, physical_layout=None, *, name):
    return getattr(flow, "ones" if name == "ones" else "zeros")(size, dtype=dtype)


@operator("aten.full")
def full(size, fill_value, dtype=None, *, out_dtype):
    if not size:
        return flow.tensor(fill_value, dtype=out_dtype)
    return flow.full(size, fill_value, dtype=out_dtype)


@operator("aten.scalar_tensor")
def scalar_tensor(s, dtype=None, *, out_dtype):
    return flow.tensor(s, dtype=out_dtype)


@operator("aten.zeros_like", "aten.empty_like", "aten.ones_like")
def zeros_or_ones_like(self, dtype=None, *, name):
    return getattr(flow, name.replace("empty", "zeros"))(self, dtype=dtype)


@operator("aten.full_like")
def full_like(self, fill_value, dtype=None):
    return flow.full_like(self, fill_value, dtype=dtype)


@operator("aten.new_zeros", "aten.new_ones", "aten.new_empty", "aten.new_empty_strided")
def new_zeros_or_ones(self, size, dtype=None, stride=None, *, out_dtype, name):
    return getattr(flow, "ones" if name == "new_ones" else "zeros")(size, dtype=out_dtype, device=self.device)


@operator("aten.new_full")
def new_full(self, size, fill_value, dtype=None, *, out_dtype):
    if not size:
        return flow.tensor(fill_value, dtype=out_dtype, device=self.device)
    return flow.full(size, fill_value, dtype=out_dtype, device=self.device)


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


@operator("aten.arange", "aten.arange.start", "aten.arange.start_step")
def arange(end, start=None, step=1, dtype=None, *, out_dtype):
    bounds = (end,) if start is None else (start, end) if step == 1 else (start, end, step)
    return flow.arange(*bounds, dtype=out_dtype)


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


@operator("aten.tril_indices", "aten.triu_indices")
def indices_of_triangle(row, col, offset=0, dtype=None, *, out_dtype, name):
    return flow.nonzero(getattr(flow, name[:4])(flow.ones(row, col), offset)).t().to(out_dtype)


@operator("aten.one_hot")
def one_hot(self, num_classes=-1):
    return F.one_hot(self, num_classes=num_classes)
