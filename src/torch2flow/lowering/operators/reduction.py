"""Sums, means, extremes, norms, orders: what makes one number of many."""

from __future__ import annotations

from torch2flow.lowering.lazy import flow, is_float
from torch2flow.lowering.registry import operator


@operator("aten.sum", "aten.sum.dim_IntList")
def sum_(self, dim=None, keepdim=False, dtype=None, *, in_dtype, out_dtype, in_ndim):
    if in_ndim == 0:
        return self.to(out_dtype)
    if in_dtype != out_dtype:
        return self.to(out_dtype).sum(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)
    if not dim and not keepdim:
        return self.sum()
    return self.sum(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.mean", "aten.mean.dim")
def mean(self, dim=None, keepdim=False, dtype=None, *, in_dtype, out_dtype, in_ndim):
    if in_ndim == 0:
        return self.to(out_dtype)
    if in_dtype != out_dtype:
        return self.to(out_dtype).mean(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)
    if not dim and not keepdim:
        return self.mean()
    return self.mean(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.nansum")
def nansum(self, dim=None, keepdim=False, dtype=None, *, in_ndim, in_dtype, out_dtype):
    if not is_float(in_dtype):
        return self.to(out_dtype).sum(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)
    return self.to(out_dtype).nansum(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.nanmean")
def nanmean(self, dim=None, keepdim=False, dtype=None, *, in_ndim):
    return mean_of_numbers(self, dim or tuple(range(in_ndim)), keepdim)


def mean_of_numbers(x, dim, keepdim=False):
    """PyTorch's `nanmean`: the mean of what is not NaN."""
    count = flow.logical_not(flow.isnan(x)).to(x.dtype).sum(dim=dim, keepdim=keepdim)
    return x.nansum(dim=dim, keepdim=keepdim) / count


@operator("aten.prod", "aten.prod.dim_int")
def prod(self, dim=None, keepdim=False, dtype=None, *, in_shape, out_shape, out_dtype, in_ndim):
    if in_ndim == 0:
        return self.to(out_dtype)
    if 0 in in_shape:
        return flow.ones(tuple(out_shape), dtype=out_dtype, device=self.device)
    if dim is None:
        return flow.prod(self.to(out_dtype))
    return flow.prod(self.to(out_dtype), dim=dim, keepdim=keepdim)


@operator("aten.amax")
def amax(self, dim=(), keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return self
    return self.amax(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.amin")
def amin(self, dim=(), keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return self
    return self.amin(dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.aminmax")
def aminmax(self, dim=None, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return (self, self)
    if dim is None:
        return (
            self.amin(dim=tuple(range(in_ndim)), keepdim=keepdim),
            self.amax(dim=tuple(range(in_ndim)), keepdim=keepdim),
        )
    return (self.amin(dim=dim, keepdim=keepdim), self.amax(dim=dim, keepdim=keepdim))


@operator("aten.max.default")
def max_(self):
    return self.max()


@operator("aten.min.default")
def min_(self):
    return self.min()


@operator("aten.max.dim")
def max_dim(self, dim, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return flow.max(self, dim=dim, keepdim=keepdim)


@operator("aten.min.dim")
def min_dim(self, dim, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return flow.min(self, dim=dim, keepdim=keepdim)


@operator("aten.argmax")
def argmax(self, dim=None, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if dim is None and keepdim:
        return flow.argmax(self.reshape(-1), dim=0).reshape(*[1] * in_ndim)
    if dim is None:
        return flow.argmax(self.reshape(-1), dim=0)
    return flow.argmax(self, dim=dim, keepdim=keepdim)


@operator("aten.argmin")
def argmin(self, dim=None, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if dim is None and keepdim:
        return flow.argmin(self.reshape(-1), dim=0).reshape(*[1] * in_ndim)
    if dim is None:
        return flow.argmin(self.reshape(-1), dim=0)
    return flow.argmin(self, dim=dim, keepdim=keepdim)


@operator("aten.var", "aten.var.dim", "aten.var.correction")
def var(self, dim=None, unbiased=True, keepdim=False, correction=None, *, in_ndim):
    if correction not in (None, 0, 1):
        return corrected_variance(self, dim or tuple(range(in_ndim)), correction, keepdim)
    if not dim or len(dim) == in_ndim:
        return self.var(unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)
    return self.var(dim=dim, unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)


@operator("aten.std", "aten.std.dim", "aten.std.correction")
def std(self, dim=None, unbiased=True, keepdim=False, correction=None, *, in_ndim):
    if correction not in (None, 0, 1):
        return flow.sqrt(corrected_variance(self, dim or tuple(range(in_ndim)), correction, keepdim))
    if not dim or len(dim) == in_ndim:
        return self.std(unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)
    return self.std(dim=dim, unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)


@operator("aten.var_mean", "aten.var_mean.dim", "aten.var_mean.correction")
def var_mean(self, dim=None, unbiased=True, keepdim=False, correction=None, *, in_ndim):
    return (
        corrected_variance(self, dim or tuple(range(in_ndim)), unbiased if correction is None else correction, keepdim),
        self.mean(dim=dim or tuple(range(in_ndim)), keepdim=keepdim),
    )


@operator("aten.std_mean", "aten.std_mean.dim", "aten.std_mean.correction")
def std_mean(self, dim=None, unbiased=True, keepdim=False, correction=None, *, in_ndim):
    return (
        flow.sqrt(
            corrected_variance(
                self, dim or tuple(range(in_ndim)), unbiased if correction is None else correction, keepdim
            )
        ),
        self.mean(dim=dim or tuple(range(in_ndim)), keepdim=keepdim),
    )


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
def logsumexp(self, dim, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return self
    return flow.logsumexp(self, dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.linalg_vector_norm")
def vector_norm(self, ord=2, dim=None, keepdim=False, dtype=None, *, in_dtype, out_dtype, in_ndim):
    if in_ndim == 0 and ord == 0:
        return (self != 0).to(out_dtype)
    if in_ndim == 0:
        return flow.abs(self.to(out_dtype))
    if in_dtype != out_dtype:
        return flow.linalg.vector_norm(self.to(out_dtype), ord=ord, dim=dim or tuple(range(in_ndim)), keepdim=keepdim)
    return flow.linalg.vector_norm(self, ord=ord, dim=dim or tuple(range(in_ndim)), keepdim=keepdim)


@operator("aten.norm.Scalar", "aten.norm.ScalarOpt_dim", "aten.norm.ScalarOpt_dim_dtype", "aten.norm.ScalarOpt_dtype")
def norm(self, p=2, dim=None, keepdim=False, dtype=None, *, out_dtype, in_dtype, in_ndim):
    if in_ndim == 0:
        return flow.abs(self.to(out_dtype))
    if in_dtype != out_dtype:
        return flow.linalg.vector_norm(self.to(out_dtype), 2 if p is None else p, dim or tuple(range(in_ndim)), keepdim)
    return flow.linalg.vector_norm(self, 2 if p is None else p, dim or tuple(range(in_ndim)), keepdim)


@operator("aten.cumsum")
def cumsum(self, dim, dtype=None, *, in_dtype, out_dtype, in_ndim):
    if in_ndim == 0:
        return self.to(out_dtype)
    if in_dtype == out_dtype and (is_float(in_dtype) or in_dtype == flow.int64):
        return flow.cumsum(self, dim)
    return flow.cumsum(self.to(out_dtype), dim).to(out_dtype)


@operator("aten.cumprod")
def cumprod(self, dim, dtype=None, *, in_dtype, out_dtype, in_ndim):
    if in_ndim == 0:
        return self.to(out_dtype)
    if in_dtype == out_dtype and (is_float(in_dtype) or in_dtype == flow.int64):
        return flow.cumprod(self, dim)
    return flow.cumprod(self.to(out_dtype), dim).to(out_dtype)


@operator("aten.logcumsumexp")
def logcumsumexp(self, dim, *, in_ndim):
    if in_ndim == 0:
        return self
    return log_cumulative_sum_of_exp(self, dim)


def log_cumulative_sum_of_exp(x, dim):
    """PyTorch's `logcumsumexp`, by way of the largest element."""
    largest = x.amax(dim=dim, keepdim=True)
    return flow.log(flow.cumsum(flow.exp(x - largest), dim)) + largest


@operator("aten.topk", restriction="equal elements may come in another order")
def topk(self, k, dim=-1, largest=True, sorted=True, *, in_ndim):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return flow.topk(self, k, dim=dim, largest=largest, sorted=sorted)


@operator("aten.sort", "aten.sort.stable", restriction="equal elements may come in another order")
def sort(self, dim=-1, descending=False, stable=None, *, in_ndim, in_dtype):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    if not is_float(in_dtype):
        return stable_sort(self, dim, descending)
    return sort_with_indices(self, dim, descending)


def sort_with_indices(x, dim, descending=False):
    """PyTorch's `sort`, whose indices are int64; OneFlow's are int32."""
    values, indices = flow.sort(x, dim, descending)
    return values, indices.to(flow.int64)


def stable_sort(x, dim, descending=False):
    """PyTorch's `sort` of integers, which keeps equal elements in order; OneFlow's does not."""
    size = x.shape[dim]
    place = flow.arange(size, device=x.device).reshape(*[-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
    sign = -1 if descending else 1
    key = flow.sort(sign * x.to(flow.int64) * size + place, dim)[0]
    order = flow.fmod(flow.fmod(key, size) + size, size)
    return flow.gather(x, dim, order), order


@operator("aten.argsort", "aten.argsort.stable", restriction="equal elements may come in another order")
def argsort(self, dim=-1, descending=False, stable=None, *, in_ndim, in_dtype):
    if in_ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if not is_float(in_dtype):
        return stable_sort(self, dim, descending)[1]
    return flow.argsort(self, dim=dim, descending=descending).to(flow.int64)


@operator("aten.msort")
def msort(self):
    return flow.sort(self, 0)[0]


@operator("aten.kthvalue")
def kthvalue(self, k, dim=-1, keepdim=False, *, in_ndim):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return kth_value(self, k, dim, keepdim)


def kth_value(x, k, dim, keepdim=False):
    """PyTorch's `kthvalue`: the k-th smallest element and where it is."""
    values, indices = flow.topk(x, k, dim=dim, largest=False)
    values, indices = values.narrow(dim, k - 1, 1), indices.narrow(dim, k - 1, 1)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


@operator("aten.median", "aten.median.dim")
def median(self, dim=None, keepdim=False, *, in_ndim):
    if in_ndim == 0 and dim is None:
        return self
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    if dim is None:
        return flow.median(self)
    return flow.median(self, dim=dim, keepdim=keepdim)


@operator("aten.count_nonzero", "aten.count_nonzero.dim_IntList")
def count_nonzero(self, dim=None, *, in_ndim):
    if in_ndim == 0:
        return (self != 0).to(flow.int64)
    if dim is None:
        return (self != 0).to(flow.int64).sum()
    return (self != 0).to(flow.int64).sum(dim=dim)


@operator("aten.diff")
def diff(self, n=1, dim=-1, prepend=None, append=None):
    return differences(self, n, dim, prepend, append)


def differences(x, n=1, dim=-1, prepend=None, append=None):
    """PyTorch's `diff`: each element less the one before it, `n` times."""
    x = flow.cat([part for part in (prepend, x, append) if part is not None], dim=dim)
    for _ in range(min(n, x.shape[dim])):
        first, second = x.narrow(dim, 0, x.shape[dim] - 1), x.narrow(dim, 1, x.shape[dim] - 1)
        x = flow.logical_xor(second, first) if x.dtype == flow.bool else second - first
    return x


@operator("aten.histc")
def histc(self, bins=100, min=0, max=0):
    return histogram(self, bins, min, max)


def histogram(x, bins=100, low=0, high=0):
    """PyTorch's `histc`: how many elements lie in each of `bins` equal intervals."""
    x = x.reshape(-1)
    if low == high:
        low, high = x.min().item(), x.max().item()
    if low == high:
        low, high = low - 1, high + 1
    place = flow.floor((x - low) / (high - low) * bins)
    place = flow.where(x == high, flow.full_like(place, bins - 1), place)
    inside = flow.logical_and(x >= low, x <= high)
    hits = place.unsqueeze(1) == flow.arange(bins, device=x.device).to(x.dtype)
    return flow.logical_and(hits, inside.unsqueeze(1)).to(x.dtype).sum(dim=0)


@operator("aten.bincount")
def bincount(self, weights=None, minlength=0):
    return flow.bincount(self, weights=weights, minlength=minlength)


@operator("aten.searchsorted.Tensor")
def searchsorted(sorted_sequence, self, out_int32=False, right=False, side=None, sorter=None):
    if sorter is not None:
        return flow.searchsorted(
            flow.gather(sorted_sequence, -1, sorter), self, out_int32=out_int32, right=right or side == "right"
        )
    return flow.searchsorted(sorted_sequence, self, out_int32=out_int32, right=right or side == "right")


@operator("aten.bucketize.Tensor")
def bucketize(self, boundaries, out_int32=False, right=False, *, in_ndim):
    if in_ndim == 0:
        return flow.searchsorted(boundaries, self.reshape(1), out_int32=out_int32, right=right).squeeze(0)
    return flow.searchsorted(boundaries, self, out_int32=out_int32, right=right)


@operator("aten.cummax")
def cummax(self, dim, *, in_ndim):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return running_extreme(self, dim, 1)


@operator("aten.cummin")
def cummin(self, dim, *, in_ndim):
    if in_ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    return running_extreme(self, dim, -1)


def running_extreme(x, dim, sign):
    """PyTorch's `cummax` (sign 1) and `cummin` (sign -1): the largest element so far, and where it is."""
    best, place, values, places = None, None, [], []
    for position, element in enumerate(x.split(1, dim)):
        here = flow.full_like(element, position, dtype=flow.int64)
        if best is None:
            best, place = element, here
        else:
            better = sign * element.double() >= sign * best.double()
            best, place = flow.where(better, element, best), flow.where(better, here, place)
        values.append(best)
        places.append(place)
    return flow.cat(values, dim=dim), flow.cat(places, dim=dim)


@operator("aten.trapezoid.dx", "aten.trapz.dx")
def trapezoid(y, dx=1, dim=-1):
    return area(y, dx, dim)


@operator("aten.trapezoid.x", "aten.trapz.x")
def trapezoid_of_points(y, x, dim=-1):
    return area(y, differences(x, 1, -1 if x.ndim == 1 else dim), dim)


def area(y, widths, dim=-1):
    """PyTorch's `trapezoid`: the integral of `y`, straight lines between its points."""
    count = y.shape[dim]
    if isinstance(widths, flow.Tensor) and widths.ndim == 1:
        widths = widths.reshape(*[-1 if d == dim % y.ndim else 1 for d in range(y.ndim)])
    return (widths * (y.narrow(dim, 0, count - 1) + y.narrow(dim, 1, count - 1)) / 2).sum(dim=dim)
