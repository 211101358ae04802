"""Sums, means, extremes, norms, orders: what makes one number of many."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import flow, helper, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.sum", "aten.sum.dim_IntList")
def sum_(self, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if self.ndim == 0:
        return self.to(out_dtype)
    if self.dtype != out_dtype:
        return self.to(out_dtype).sum(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)
    if not dim and not keepdim:
        return self.sum()
    return self.sum(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)


@operator("aten.mean", "aten.mean.dim")
def mean(self, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if self.ndim == 0:
        return self.to(out_dtype)
    if self.dtype != out_dtype:
        return self.to(out_dtype).mean(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)
    if not dim and not keepdim:
        return self.mean()
    return self.mean(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)


@operator("aten.nansum")
def nansum(self, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if not is_float(self.dtype):
        return self.to(out_dtype).sum(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)
    return sum_of_numbers(self.to(out_dtype), dim or tuple(range(self.ndim)), keepdim)


@helper
def sum_of_numbers(x, dim, keepdim=False):
    """PyTorch's `nansum`: the sum of what is not NaN; OneFlow 0.9.0's has a gradient at NaN too."""
    x = x.masked_fill(flow.isnan(x), 0.0)
    return x.sum(dim=dim, keepdim=keepdim) if dim else x


@operator("aten.nanmean")
def nanmean(self, dim=None, keepdim=False, dtype=None):
    return mean_of_numbers(self, dim or tuple(range(self.ndim)), keepdim)


@helper
def mean_of_numbers(x, dim, keepdim=False):
    """PyTorch's `nanmean`: the mean of what is not NaN."""
    count = flow.logical_not(flow.isnan(x)).to(x.dtype).sum(dim=dim, keepdim=keepdim)
    return sum_of_numbers(x, dim, keepdim) / count


@operator("aten.prod", "aten.prod.dim_int")
def prod(self, dim=None, keepdim=False, dtype=None, *, in_shape, out_shape, out_dtype):
    if self.ndim == 0:
        return self.to(out_dtype)
    if 0 in in_shape:
        return flow.ones(tuple(out_shape), dtype=out_dtype, device=self.device)
    if dim is None:
        return flow.prod(self.to(out_dtype))
    return flow.prod(self.to(out_dtype), dim=dim, keepdim=keepdim)


@operator("aten.amax")
def amax(self, dim=(), keepdim=False):
    if self.ndim == 0:
        return self
    return self.amax(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)


@operator("aten.amin")
def amin(self, dim=(), keepdim=False):
    if self.ndim == 0:
        return self
    return self.amin(dim=dim or tuple(range(self.ndim)), keepdim=keepdim)


@operator("aten.aminmax")
def aminmax(self, dim=None, keepdim=False):
    if self.ndim == 0:
        return (self, self)
    if dim is None:
        return (
            self.amin(dim=tuple(range(self.ndim)), keepdim=keepdim),
            self.amax(dim=tuple(range(self.ndim)), keepdim=keepdim),
        )
    return (self.amin(dim=dim, keepdim=keepdim), self.amax(dim=dim, keepdim=keepdim))


@operator("aten.max.default")
def max_(self):
    return self.max()


@operator("aten.min.default")
def min_(self):
    return self.min()


@operator("aten.max.dim")
def max_dim(self, dim, keepdim=False):
    if self.ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return flow.max(self, dim=dim, keepdim=keepdim)


@operator("aten.min.dim")
def min_dim(self, dim, keepdim=False):
    if self.ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return flow.min(self, dim=dim, keepdim=keepdim)


@operator("aten.argmax")
def argmax(self, dim=None, keepdim=False):
    if self.ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if dim is None and keepdim:
        return flow.argmax(self.reshape(-1), dim=0).reshape(*[1] * self.ndim)
    if dim is None:
        return flow.argmax(self.reshape(-1), dim=0)
    return flow.argmax(self, dim=dim, keepdim=keepdim)


@operator("aten.argmin")
def argmin(self, dim=None, keepdim=False):
    if self.ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if dim is None and keepdim:
        return flow.argmin(self.reshape(-1), dim=0).reshape(*[1] * self.ndim)
    if dim is None:
        return flow.argmin(self.reshape(-1), dim=0)
    return flow.argmin(self, dim=dim, keepdim=keepdim)


@operator("aten.var", "aten.var.dim", "aten.var.correction")
def var(self, dim=None, unbiased=True, keepdim=False, correction=None):
    if correction not in (None, 0, 1):
        return corrected_variance(self, dim or tuple(range(self.ndim)), correction, keepdim)
    if not dim or len(dim) == self.ndim:
        return self.var(unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)
    return self.var(dim=dim, unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)


@operator("aten.std", "aten.std.dim", "aten.std.correction")
def std(self, dim=None, unbiased=True, keepdim=False, correction=None):
    if correction not in (None, 0, 1):
        return flow.sqrt(corrected_variance(self, dim or tuple(range(self.ndim)), correction, keepdim))
    if not dim or len(dim) == self.ndim:
        return self.std(unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)
    return self.std(dim=dim, unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)


@operator("aten.var_mean", "aten.var_mean.dim", "aten.var_mean.correction")
def var_mean(self, dim=None, unbiased=True, keepdim=False, correction=None):
    return (
        corrected_variance(
            self, dim or tuple(range(self.ndim)), unbiased if correction is None else correction, keepdim
        ),
        self.mean(dim=dim or tuple(range(self.ndim)), keepdim=keepdim),
    )


@operator("aten.std_mean", "aten.std_mean.dim", "aten.std_mean.correction")
def std_mean(self, dim=None, unbiased=True, keepdim=False, correction=None):
    return (
        flow.sqrt(
            corrected_variance(
                self, dim or tuple(range(self.ndim)), unbiased if correction is None else correction, keepdim
            )
        ),
        self.mean(dim=dim or tuple(range(self.ndim)), keepdim=keepdim),
    )


@helper
def corrected_variance(x, dim, correction=1, keepdim=False):
    """PyTorch's `var` with any correction; OneFlow 0.9.0's `var` fails when given all dimensions by number."""
    count = 1
    for axis in dim:
        count *= x.shape[axis]
    centred = x - x.mean(dim=dim, keepdim=True) if dim else x - x
    total = flow.square(centred).sum(dim=dim, keepdim=keepdim) if dim else flow.square(centred)
    divisor = max(count - correction, 0)
    return total / divisor if divisor else total / flow.zeros_like(total)


@operator("aten.logsumexp", "aten.special_logsumexp", promotes=("self",), floats=True)
def logsumexp(self, dim, keepdim=False):
    if self.ndim == 0:
        return self
    return flow.logsumexp(self, dim=dim or tuple(range(self.ndim)), keepdim=keepdim)


@operator("aten.linalg_vector_norm")
def vector_norm(self, ord=2, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if self.ndim == 0 and ord == 0:
        return (self != 0).to(out_dtype)
    if self.ndim == 0:
        return flow.abs(self.to(out_dtype))
    if self.dtype != out_dtype:
        return flow.linalg.vector_norm(self.to(out_dtype), ord=ord, dim=dim or tuple(range(self.ndim)), keepdim=keepdim)
    return flow.linalg.vector_norm(self, ord=ord, dim=dim or tuple(range(self.ndim)), keepdim=keepdim)


@operator("aten.linalg_norm.default")
def linalg_norm(self, ord=None, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if ord is not None and (self.ndim if dim is None else len(dim)) == 2:
        raise NotImplementedError("norms of matrices need singular values, which OneFlow 0.9.0 has not")
    return flow.linalg.vector_norm(
        self.to(out_dtype), 2 if ord is None else ord, dim or tuple(range(self.ndim)), keepdim
    )


@operator("aten.norm.Scalar", "aten.norm.ScalarOpt_dim", "aten.norm.ScalarOpt_dim_dtype", "aten.norm.ScalarOpt_dtype")
def norm(self, p=2, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if self.ndim == 0:
        return flow.abs(self.to(out_dtype))
    if self.dtype != out_dtype:
        return flow.linalg.vector_norm(
            self.to(out_dtype), 2 if p is None else p, dim or tuple(range(self.ndim)), keepdim
        )
    return flow.linalg.vector_norm(self, 2 if p is None else p, dim or tuple(range(self.ndim)), keepdim)
