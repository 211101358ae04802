"""Cumulative sums, order, counts: what looks at each element among the others."""

from torch2flow.models.lowering.lazy import flow, helper, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.cumsum", "aten.cumprod")
def cumulative(self, dim, dtype=None, *, out_dtype, name):
    if self.ndim == 0:
        return self.to(out_dtype)
    if self.dtype == out_dtype and (is_float(self.dtype) or self.dtype == flow.int64):
        return getattr(flow, name)(self, dim)
    return getattr(flow, name)(self.to(out_dtype), dim).to(out_dtype)


@operator("aten.logcumsumexp")
def logcumsumexp(self, dim):
    if self.ndim == 0:
        return self
    return log_cumulative_sum_of_exp(self, dim)


@helper
def log_cumulative_sum_of_exp(x, dim):
    """PyTorch's `logcumsumexp`: each step adds to an element what lies 1, 2, 4, ... places before it."""
    count, away = x.shape[dim], 1
    while away < count:
        here, before = x.narrow(dim, away, count - away), x.narrow(dim, 0, count - away)
        added = flow.maximum(here, before) + flow.log1p(flow.exp(-flow.abs(here - before)))
        x = flow.cat([x.narrow(dim, 0, away), added], dim=dim)
        away = 2 * away
    return x


@operator("aten.topk", restriction="equal elements may come in another order")
def topk(self, k, dim=-1, largest=True, sorted=True):
    if self.ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    if self.dtype == flow.uint8 and not largest:
        raise NotImplementedError("the smallest of uint8, where OneFlow 0.9.0 takes 0 for the largest")
    return flow.topk(self, k, dim=dim, largest=largest, sorted=sorted)


@operator("aten.sort", "aten.sort.stable", restriction="equal elements may come in another order")
def sort(self, dim=-1, descending=False, stable=None):
    if self.ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    if not is_float(self.dtype):
        return stable_sort(self, dim, descending)
    return sort_with_indices(self, dim, descending)


@helper
def sort_with_indices(x, dim, descending=False):
    """PyTorch's `sort`, whose indices are int64; OneFlow's are int32."""
    values, indices = flow.sort(x, dim, descending)
    return values, indices.to(flow.int64)


@helper
def stable_sort(x, dim, descending=False):
    """PyTorch's `sort` of integers, which keeps equal elements in order; OneFlow's does not."""
    size = x.shape[dim]
    place = flow.arange(size, device=x.device).reshape(*[-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
    sign = -1 if descending else 1
    key = flow.sort(sign * x.to(flow.int64) * size + place, dim)[0]
    order = flow.fmod(flow.fmod(key, size) + size, size)
    return flow.gather(x, dim, order), order


@operator("aten.argsort", "aten.argsort.stable", restriction="equal elements may come in another order")
def argsort(self, dim=-1, descending=False, stable=None):
    if self.ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if not is_float(self.dtype):
        return stable_sort(self, dim, descending)[1]
    return flow.argsort(self, dim=dim, descending=descending).to(flow.int64)


@operator("aten.msort")
def msort(self):
    return flow.sort(self, 0)[0]


@operator("aten.kthvalue")
def kthvalue(self, k, dim=-1, keepdim=False):
    if self.ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    if self.dtype == flow.uint8:
        raise NotImplementedError("the smallest of uint8, where OneFlow 0.9.0 takes 0 for the largest")
    return kth_value(self, k, dim, keepdim)


@helper
def kth_value(x, k, dim, keepdim=False):
    """PyTorch's `kthvalue`: the k-th smallest element and where it is."""
    values, indices = flow.topk(x, k, dim=dim, largest=False)
    values, indices = values.narrow(dim, k - 1, 1), indices.narrow(dim, k - 1, 1)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


@operator("aten.median", "aten.median.dim")
def median(self, dim=None, keepdim=False):
    if self.ndim == 0 and dim is None:
        return self
    if self.ndim == 0:
        return (self, flow.zeros_like(self, dtype=flow.int64))
    if dim is None:
        return flow.median(self)
    return flow.median(self, dim=dim, keepdim=keepdim)


@operator("aten.count_nonzero", "aten.count_nonzero.dim_IntList")
def count_nonzero(self, dim=None):
    if self.ndim == 0:
        return (self != 0).to(flow.int64)
    if dim is None:
        return (self != 0).to(flow.int64).sum()
    return (self != 0).to(flow.int64).sum(dim=dim)


@operator("aten.diff")
@helper
def diff(self, n=1, dim=-1, prepend=None, append=None):
    """PyTorch's `diff`: each element less the one before it, `n` times."""
    self = flow.cat([part for part in (prepend, self, append) if part is not None], dim=dim)
    for _ in range(min(n, self.shape[dim])):
        first, second = self.narrow(dim, 0, self.shape[dim] - 1), self.narrow(dim, 1, self.shape[dim] - 1)
        self = flow.logical_xor(second, first) if self.dtype == flow.bool else second - first
    return self


@operator("aten.histc")
@helper
def histc(self, bins=100, min=0, max=0):
    """PyTorch's `histc`: how many elements lie in each of `bins` equal intervals."""
    self = self.reshape(-1)
    if min == max:
        min, max = self.min().item(), self.max().item()
    if min == max:
        min, max = min - 1, max + 1
    place = flow.floor((self - min) / (max - min) * bins)
    place = flow.where(self == max, flow.full_like(place, bins - 1), place)
    inside = flow.logical_and(self >= min, self <= max)
    hits = place.unsqueeze(1) == flow.arange(bins, device=self.device).to(self.dtype)
    return flow.logical_and(hits, inside.unsqueeze(1)).to(self.dtype).sum(dim=0)


@operator("aten.histogram.bin_ct")
@helper
def counts_in_bins(self, bins=100, range=None, weight=None, density=False):
    """PyTorch's `histogram`: how many elements lie between one edge and the next, the last one included; the edges."""
    values = self.reshape(-1, 1)
    if isinstance(bins, flow.Tensor):
        edges = bins
    else:
        least, most = range or (self.min().item(), self.max().item())
        least, most = (least, most) if least < most else (least - 0.5, most + 0.5)
        inner = flow.linspace(least, most, bins + 1, device=self.device).to(self.dtype)[1:-1]
        ends = flow.tensor([least, most], dtype=self.dtype, device=self.device)
        edges = flow.cat([ends[:1], inner, ends[1:]], dim=0)
    last = flow.arange(edges.shape[0] - 1, device=self.device) == edges.shape[0] - 2
    below = flow.logical_or(values < edges[1:], flow.logical_and(last, values == edges[1:]))
    hits = flow.logical_and(values >= edges[:-1], below).to(self.dtype)
    counts = (hits if weight is None else hits * weight.reshape(-1, 1)).sum(dim=0)
    return counts / (counts.sum() * (edges[1:] - edges[:-1])) if density else counts, edges


@operator("aten.bincount")
def bincount(self, weights=None, minlength=0):
    return flow.bincount(self, weights=weights, minlength=minlength)


@operator("aten.searchsorted.Tensor", promotes=("sorted_sequence", "self"))
def searchsorted(sorted_sequence, self, out_int32=False, right=False, side=None, sorter=None, *, out_ndim):
    if out_ndim == 0:
        return searchsorted_of_one(sorted_sequence, self, out_int32, right or side == "right", sorter)
    if sorter is not None:
        return flow.searchsorted(
            flow.gather(sorted_sequence, -1, sorter), self, out_int32=out_int32, right=right or side == "right"
        )
    return flow.searchsorted(sorted_sequence, self, out_int32=out_int32, right=right or side == "right")


@helper
def searchsorted_of_one(sorted_sequence, value, out_int32=False, right=False, sorter=None):
    """PyTorch's `searchsorted` of a 0-dim tensor."""
    if sorter is not None:
        sorted_sequence = flow.gather(sorted_sequence, -1, sorter)
    return flow.searchsorted(sorted_sequence, value.reshape(1), out_int32=out_int32, right=right).squeeze(0)


@operator("aten.bucketize.Tensor", promotes=("self", "boundaries"))
def bucketize(self, boundaries, out_int32=False, right=False):
    if self.ndim == 0:
        return flow.searchsorted(boundaries, self.reshape(1), out_int32=out_int32, right=right).squeeze(0)
    return flow.searchsorted(boundaries, self, out_int32=out_int32, right=right)


@operator("aten.cummax", "aten.cummin")
def cumulative_extreme(self, dim, *, name):
    if self.ndim == 0:
        return self, flow.zeros_like(self, dtype=flow.int64)
    return running_extreme(self, dim, 1 if name == "cummax" else -1)


@helper
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
@helper
def trapezoid(y, dx=1, dim=-1):
    """PyTorch's `trapezoid`: the integral of `y`, straight lines between its points."""
    count = y.shape[dim]
    if isinstance(dx, flow.Tensor) and dx.ndim == 1:
        dx = dx.reshape(*[-1 if d == dim % y.ndim else 1 for d in range(y.ndim)])
    return (dx * (y.narrow(dim, 0, count - 1) + y.narrow(dim, 1, count - 1)) / 2).sum(dim=dim)


@operator("aten.trapezoid.x", "aten.trapz.x")
def trapezoid_of_points(y, x, dim=-1):
    return trapezoid(y, diff(x, 1, -1 if x.ndim == 1 else dim), dim)


@operator("aten.cumulative_trapezoid.dx")
@helper
def running_trapezoid(y, dx=1, dim=-1):
    """PyTorch's `cumulative_trapezoid`: the integral of `y` up to each of its points but the first."""
    count = y.shape[dim] - 1
    if isinstance(dx, flow.Tensor) and dx.ndim == 1:
        dx = dx.reshape(*[-1 if d == dim % y.ndim else 1 for d in range(y.ndim)])
    return flow.cumsum(dx * (y.narrow(dim, 0, count) + y.narrow(dim, 1, count)) / 2, dim % y.ndim)


@operator("aten.cumulative_trapezoid.x")
def running_trapezoid_of_points(y, x, dim=-1):
    return running_trapezoid(y, diff(x, 1, -1 if x.ndim == 1 else dim), dim)


@operator("aten.gradient")
@helper
def slopes(self, spacing=None, dim=None, edge_order=1):
    """PyTorch's `gradient`: the slope along each dimension, between points at some spacing or at given places."""
    dims = list(range(self.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    steps = spacing if type(spacing) in (list, tuple) else [1 if spacing is None else spacing] * len(dims)
    self = self if self.dtype in (flow.float32, flow.float64, flow.float16) else self.to(flow.float32)
    return [slope_along(self, axis % self.ndim, step, edge_order) for axis, step in zip(dims, steps, strict=True)]


@helper
def slope_along(x, dim, step, edge_order):
    """The slope along one dimension: by the points on both sides, at the ends by the nearest two or three."""
    count = x.shape[dim]
    at = step if isinstance(step, flow.Tensor) else flow.arange(count, dtype=x.dtype, device=x.device) * step
    gap = (at[1:] - at[:-1]).reshape(*[-1 if axis == dim else 1 for axis in range(x.ndim)])
    rise = (x.narrow(dim, 1, count - 1) - x.narrow(dim, 0, count - 1)) / gap
    left, right = rise.narrow(dim, 0, count - 2), rise.narrow(dim, 1, count - 2)
    before, after = gap.narrow(dim, 0, count - 2), gap.narrow(dim, 1, count - 2)
    inner = (left * after + right * before) / (before + after)
    first, last = rise.narrow(dim, 0, 1), rise.narrow(dim, count - 2, 1)
    if edge_order == 2:
        first = 2 * first - inner.narrow(dim, 0, 1)
        last = 2 * last - inner.narrow(dim, count - 3, 1)
    return flow.cat([first, inner, last], dim=dim)


@operator("aten.mode")
@helper
def most_frequent(self, dim=-1, keepdim=False):
    """PyTorch's `mode`: of values that are equally frequent the smallest, and its last place."""
    if self.ndim == 0:
        return self, flow.zeros_like(self, dtype=flow.int64)
    self = flow.movedim(self, dim, -1)
    counts = (self.unsqueeze(-1) == self.unsqueeze(-2)).to(flow.int64).sum(dim=-1)
    most = flow.amax(counts, dim=-1, keepdim=True)
    largest = flow.amax(self, dim=-1, keepdim=True).expand(*self.shape)
    values = flow.amin(flow.where(counts == most, self, largest), dim=-1, keepdim=True)
    places = flow.arange(self.shape[-1], device=self.device) * (self == values).to(flow.int64)
    indices = flow.amax(places, dim=-1, keepdim=True)
    values, indices = flow.movedim(values, -1, dim), flow.movedim(indices, -1, dim)
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))
