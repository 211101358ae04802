"""Sums, means, extremes, norms, cumulative sums: what makes one number of many."""

from collections import namedtuple

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.ordering import (
    counts_in_bins,
    diff,
    histc,
    log_cumulative_sum_of_exp,
    running_extreme,
    running_trapezoid,
    slopes,
    trapezoid,
)
from torch2flow.models.lowering.operators.reduction import (
    corrected_variance,
    mean_of_numbers,
    product_along,
    quantile_along,
    root_of_variance,
    sum_of_numbers,
)
from torch2flow.port.compat.common import ValuesAndIndices, along, as_float, dtype_of, promoted, stored
from torch2flow.port.compat.registry import stands_for

Extremes = namedtuple("Extremes", ["min", "max"])
Histogram = namedtuple("Histogram", ["hist", "bin_edges"])


def all_of(x, dim):
    """The dimensions that are given as a list, or all."""
    if dim is None or dim == () or dim == []:
        return list(range(x.ndim))
    return [dim % max(x.ndim, 1)] if isinstance(dim, int) else [each % max(x.ndim, 1) for each in dim]


@stands_for(
    "torch.sum",
    "torch.Tensor.sum",
    because="OneFlow's takes no `axis=`, no `dtype=`, and no keyword `input=`.",
    only_with=("input", "axis", "dtype", "out"),
)
def sum_over(input, dim=None, keepdim=False, *, axis=None, dtype=None, out=None):
    x = input if dtype is None else input.to(dtype)
    if not x.dtype.is_floating_point:
        x = x.to(flow.int64 if dtype is None else dtype)
    dims = all_of(x, along(dim, axis))
    return stored(flow.sum(x, dims, keepdim) if dims and x.ndim else x, out)


@stands_for(
    "torch.mean",
    "torch.Tensor.mean",
    because="OneFlow's takes no `axis=` and no `dtype=`, and gives 0 for the mean of nothing.",
    only_with=("input", "axis", "dtype", "out"),
)
def mean_over(input, dim=None, keepdim=False, *, axis=None, dtype=None, out=None):
    x = input if dtype is None else input.to(dtype)
    if x.numel() == 0:
        return sum_over(x, dim, keepdim, axis=axis) / 0.0
    dims = all_of(x, along(dim, axis))
    return stored(flow.mean(x, dims, keepdim) if dims and x.ndim else x, out)


@stands_for("torch.nansum", "torch.Tensor.nansum", because="OneFlow's has a gradient where a value is not a number.")
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    x = input if dtype is None else input.to(dtype)
    return sum_of_numbers(x, all_of(x, dim), keepdim)


@stands_for("torch.nanmean", "torch.Tensor.nanmean", because="OneFlow has no `nanmean`.")
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    return mean_of_numbers(input if dtype is None else input.to(dtype), all_of(input, dim), keepdim)


@stands_for(
    "torch.prod", "torch.Tensor.prod", because="OneFlow's keeps bools as bools, and has a gradient of NaN beside a 0."
)
def prod(input, dim=None, keepdim=False, *, dtype=None):
    x = input if dtype is None else input.to(dtype)
    x = x if x.dtype.is_floating_point or dtype is not None else x.to(flow.int64)
    if x.ndim == 0:
        return x
    if x.requires_grad and x.numel():
        return product_along(x.reshape(-1), 0) if dim is None else product_along(x, dim, keepdim)
    return flow.prod(x) if dim is None else flow.prod(x, dim=dim, keepdim=keepdim)


@stands_for(
    "torch.var",
    "torch.Tensor.var",
    because="OneFlow's takes no `correction=`, and fails when it is given all dimensions by number.",
    only_with=("correction", "axis"),
)
def var(input, dim=None, unbiased=True, keepdim=False, *, correction=None, axis=None):
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (along(dim, axis), unbiased)
    return corrected_variance(input, all_of(input, dim), int(unbiased) if correction is None else correction, keepdim)


@stands_for(
    "torch.std",
    "torch.Tensor.std",
    because="OneFlow's gradient is NaN where all values are equal, and it takes no `correction=`.",
)
def std(input, dim=None, unbiased=True, keepdim=False, *, correction=None, axis=None):
    return root_of_variance(var(input, dim, unbiased, keepdim, correction=correction, axis=axis))


@stands_for("torch.var_mean", because="OneFlow has no `var_mean`.")
def var_mean(input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return var(input, dim, unbiased, keepdim, correction=correction), mean_over(input, dim, keepdim)


@stands_for("torch.std_mean", because="OneFlow has no `std_mean`.")
def std_mean(input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return std(input, dim, unbiased, keepdim, correction=correction), mean_over(input, dim, keepdim)


@stands_for(
    "torch.max",
    "torch.Tensor.max",
    because="OneFlow's shares the gradient among equal values, takes a tensor without dimensions for a number of a "
    "dimension, ends the process for a scalar, and has no kernel for bools.",
    only_with=("axis", "other", "dim"),
)
def maximum_along(input, dim=None, keepdim=False, *, other=None, axis=None):
    return extreme_along(input, along(dim, axis), keepdim, other, "max")


@stands_for(
    "torch.min",
    "torch.Tensor.min",
    because="OneFlow's shares the gradient among equal values, takes a tensor without dimensions for a number of a "
    "dimension, ends the process for a scalar, and has no kernel for bools.",
    only_with=("axis", "other", "dim"),
)
def minimum_along(input, dim=None, keepdim=False, *, other=None, axis=None):
    return extreme_along(input, along(dim, axis), keepdim, other, "min")


def extreme_along(x, dim, keepdim, other, name):
    """`max` or `min` in their three ways: of all elements, along a dimension with the places, and of two tensors."""
    if isinstance(dim, flow.Tensor):
        other, dim = dim, None
    if other is not None:
        return (flow.maximum if name == "max" else flow.minimum)(*promoted(x, other))
    if x.ndim == 0:
        return x if dim is None else ValuesAndIndices(x, flow.zeros_like(x, dtype=flow.int64))
    held = x.to(flow.int32) if x.dtype == flow.bool else x
    if dim is None:
        return getattr(flow, name)(held).to(x.dtype)
    values, indices = getattr(flow, name)(held, dim, keepdim)
    if x.requires_grad and flow.is_grad_enabled():  # PyTorch's gradient goes to one of several equal values
        places = indices if keepdim else indices.unsqueeze(dim)
        values = flow.gather(x, dim, places)
        values = values if keepdim else values.squeeze(dim)
    return ValuesAndIndices(values.to(x.dtype), indices)


@stands_for(
    "torch.amax",
    "torch.Tensor.amax",
    because="OneFlow's ends the process for a tensor without dimensions.",
    only_with=(),
)
def amax(input, dim=(), keepdim=False):
    return flow.amax(input, dim=all_of(input, dim), keepdim=keepdim) if input.ndim else input


@stands_for(
    "torch.amin",
    "torch.Tensor.amin",
    because="OneFlow's ends the process for a tensor without dimensions.",
    only_with=(),
)
def amin(input, dim=(), keepdim=False):
    return flow.amin(input, dim=all_of(input, dim), keepdim=keepdim) if input.ndim else input


@stands_for("torch.aminmax", "torch.Tensor.aminmax", because="OneFlow has no `aminmax`.")
def aminmax(input, *, dim=None, keepdim=False):
    found = amin(input, dim, keepdim), amax(input, dim, keepdim)
    return Extremes(*(each.reshape(1) if input.ndim == 0 and keepdim else each for each in found))


@stands_for(
    "torch.argmax",
    "torch.Tensor.argmax",
    because="OneFlow's fails for a tensor without dimensions, and takes no bools and no keyword `input=`.",
    only_with=("input", "axis"),
)
def argmax(input, dim=None, keepdim=False, *, axis=None):
    return place_of(flow.argmax, input, along(dim, axis), keepdim)


@stands_for(
    "torch.argmin",
    "torch.Tensor.argmin",
    because="OneFlow's fails for a tensor without dimensions, and takes no bools and no keyword `input=`.",
    only_with=("input", "axis"),
)
def argmin(input, dim=None, keepdim=False, *, axis=None):
    return place_of(flow.argmin, input, along(dim, axis), keepdim)


def place_of(find, x, dim, keepdim):
    """Where the largest or smallest element is."""
    if x.ndim == 0:
        return flow.zeros_like(x, dtype=flow.int64)
    x = x.to(flow.int32) if x.dtype == flow.bool else x
    if dim is None:
        place = find(flow.reshape(x, (-1,)), dim=0)
        return flow.reshape(place, [1] * x.ndim) if keepdim else place
    return find(x, dim=dim, keepdim=keepdim)


@stands_for(
    "torch.median",
    "torch.Tensor.median",
    because="OneFlow's ends the process for a tensor without dimensions.",
    only_with=(),
)
def median(input, dim=None, keepdim=False):
    if dim is None:
        return flow.median(input) if input.ndim else input
    if input.ndim == 0:
        return ValuesAndIndices(input, flow.zeros_like(input, dtype=flow.int64))
    return ValuesAndIndices(*flow.median(input, dim=dim, keepdim=keepdim))


@stands_for("torch.nanmedian", "torch.Tensor.nanmedian", because="OneFlow has no `nanmedian`.")
def nanmedian(input, dim=None, keepdim=False):
    if dim is None:
        return nanmedian(input.reshape(-1), 0)[0]
    values, indices, count = sorted_without_nan(input, dim)
    place = flow.clamp((count - 1) // 2, min=0)
    found = ValuesAndIndices(*[flow.gather(each, dim, place) for each in (values, indices)])
    return found if keepdim else ValuesAndIndices(*[each.squeeze(dim) for each in found])


def sorted_without_nan(x, dim):
    """The values in order with all NaN at the end, where each stood, and how many are no NaN."""
    there = x == x
    indices = flow.argsort(flow.where(there, x, flow.full_like(x, float("inf"))), dim=dim).to(flow.int64)
    return flow.gather(x, dim, indices), indices, there.to(flow.int64).sum(dim=dim, keepdim=True)


@stands_for("torch.nanquantile", "torch.Tensor.nanquantile", because="OneFlow has no `nanquantile`.")
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    flat, ndim = dim is None or input.ndim == 0, input.ndim
    values, _, count = sorted_without_nan(input.reshape(-1) if flat else flow.movedim(input, dim, -1), -1)
    found = []
    for each in q.reshape(-1).tolist() if isinstance(q, flow.Tensor) else [q]:
        place = flow.clamp(each * (count - 1).to(flow.float64), min=0)
        low, high = flow.floor(place), flow.ceil(place)
        share = {
            "linear": place - low,
            "lower": flow.zeros_like(place),
            "higher": high - low,
            "midpoint": 0.5 * (high - low),
            "nearest": flow.round(place) - low,
        }[interpolation].to(input.dtype)
        below, above = (flow.gather(values, -1, each.to(flow.int64)).squeeze(-1) for each in (low, high))
        found.append(below * (1 - share.squeeze(-1)) + above * share.squeeze(-1))
    if keepdim:
        found = [each.reshape([1] * ndim) if flat else each.unsqueeze(dim) for each in found]
    return flow.stack(found) if isinstance(q, flow.Tensor) and q.ndim else found[0]


stands_for("torch.quantile", "torch.Tensor.quantile", because="OneFlow's takes matrices alone, and one number.")(
    quantile_along
)


@stands_for(
    "torch.norm",
    "torch.Tensor.norm",
    because="OneFlow's takes no power without dimensions beyond a matrix, and not two dimensions at once.",
)
def norm(input, p="fro", dim=None, keepdim=False, *, out=None, dtype=None):
    x = input if dtype is None else input.to(dtype)
    p = 2.0 if p is None or p == "fro" else float(p)
    return stored(flow.linalg.vector_norm(x, p, all_of(x, dim), keepdim) if x.ndim else flow.abs(x), out)


@stands_for("torch.linalg.norm", because="OneFlow's knows the tensor by another name.")
def linalg_norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    if ord in (None, "fro") or isinstance(dim, int) or A.ndim == 1:
        return norm(A, ord, dim, keepdim, out=out, dtype=dtype)
    return stored(flow.linalg.norm(A if dtype is None else A.to(dtype), ord, dim, keepdim), out)


@stands_for("torch.linalg.vector_norm", because="OneFlow's knows the tensor by another name.")
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    return norm(x, ord, dim, keepdim, dtype=dtype)


@stands_for(
    "torch.logsumexp", "torch.Tensor.logsumexp", because="OneFlow's takes no integers and no scalar.", only_with=()
)
def logsumexp(input, dim, keepdim=False):
    x = as_float(input)
    return flow.logsumexp(x, dim=all_of(x, dim), keepdim=keepdim) if x.ndim else x


stands_for("torch.special.logsumexp", because="OneFlow has it as `logsumexp` alone.")(logsumexp)


@stands_for("torch.all", "torch.Tensor.all", because="OneFlow's is wrong for numbers other than 0 and 1.")
def all_true(input, dim=None, keepdim=False, *, axis=None):
    return truth_of(flow.all, input, along(dim, axis), keepdim)


@stands_for("torch.any", "torch.Tensor.any", because="OneFlow's is wrong for numbers other than 0 and 1.")
def any_true(input, dim=None, keepdim=False, *, axis=None):
    return truth_of(flow.any, input, along(dim, axis), keepdim)


def truth_of(find, x, dim, keepdim):
    """`all` or `any` of what is not 0."""
    x = x if x.dtype == flow.bool else x != 0
    if x.ndim == 0:
        return x
    return find(x) if dim is None else find(x, dim=all_of(x, dim), keepdim=keepdim)


@stands_for("torch.count_nonzero", "torch.Tensor.count_nonzero", because="OneFlow has no `count_nonzero`.")
def count_nonzero(input, dim=None):
    return sum_over((input != 0).to(flow.int64), dim)


stands_for("torch.histc", "torch.Tensor.histc", because="OneFlow has no `histc`.")(histc)


@stands_for("torch.histogram", "torch.Tensor.histogram", because="OneFlow has no `histogram`.")
def histogram(input, bins, *, range=None, weight=None, density=False):
    return Histogram(*counts_in_bins(input, bins, range, weight, density))


stands_for("torch.diff", "torch.Tensor.diff", because="OneFlow has no `diff`.")(diff)


@stands_for("torch.trapz", "torch.trapezoid", because="OneFlow has no `trapezoid`.")
def integral(y, x=None, *, dx=1, dim=-1):
    return trapezoid(y, dx if x is None else diff(x, 1, -1 if x.ndim == 1 else dim), dim)


@stands_for("torch.cumulative_trapezoid", because="OneFlow has no `cumulative_trapezoid`.")
def running_integral(y, x=None, *, dx=1, dim=-1):
    return running_trapezoid(y, dx if x is None else diff(x, 1, -1 if x.ndim == 1 else dim), dim)


@stands_for("torch.gradient", because="OneFlow has no `gradient`.")
def gradient(input, *, spacing=None, dim=None, edge_order=1):
    return tuple(slopes(input, spacing, dim, edge_order))


@stands_for(
    "torch.cumsum",
    "torch.Tensor.cumsum",
    because="OneFlow's gives another dtype for int32 and bools, and ends the process for a scalar.",
)
def cumsum(input, dim=None, *, axis=None, dtype=None, out=None):
    return stored(cumulated(flow.cumsum, input, along(dim, axis), dtype), out)


@stands_for(
    "torch.cumprod",
    "torch.Tensor.cumprod",
    because="OneFlow's gives another dtype for int32 and bools, and ends the process for a scalar.",
)
def cumprod(input, dim=None, *, axis=None, dtype=None, out=None):
    return stored(cumulated(flow.cumprod, input, along(dim, axis), dtype), out)


def cumulated(run, x, dim, dtype):
    """`cumsum` or `cumprod` in PyTorch's dtype."""
    dtype = dtype or (x.dtype if x.dtype.is_floating_point else flow.int64)
    x = x if x.dtype == dtype else x.to(dtype)
    return run(x, dim).to(dtype) if x.ndim else x


@stands_for("torch.cummax", "torch.Tensor.cummax", because="OneFlow has no `cummax`.")
def cummax(input, dim):
    return running(input, dim, 1)


@stands_for("torch.cummin", "torch.Tensor.cummin", because="OneFlow has no `cummin`.")
def cummin(input, dim):
    return running(input, dim, -1)


def running(x, dim, sign):
    """The extreme so far, and where it is."""
    if x.ndim == 0:
        return ValuesAndIndices(x, flow.zeros_like(x, dtype=flow.int64))
    return ValuesAndIndices(*running_extreme(x, dim, sign))


@stands_for("torch.logcumsumexp", "torch.Tensor.logcumsumexp", because="OneFlow has no `logcumsumexp`.")
def logcumsumexp(input, dim):
    return log_cumulative_sum_of_exp(input, dim) if input.ndim else input


@stands_for("torch.cov", "torch.Tensor.cov", because="OneFlow has no `cov`.")
def cov(input, *, correction=1):
    x = input.reshape(1, -1) if input.ndim < 2 else input
    x = x - x.mean(dim=1, keepdim=True)
    result = flow.matmul(x, x.transpose(0, 1)) / (x.shape[1] - correction)
    return result if input.ndim == 2 else result.reshape(())


@stands_for("torch.corrcoef", "torch.Tensor.corrcoef", because="OneFlow has no `corrcoef`.")
def corrcoef(input):
    matrix = cov(input)
    deviation = flow.sqrt(flow.diagonal(matrix, 0, 0, 1))
    return flow.clamp(matrix / (deviation.unsqueeze(1) * deviation), min=-1.0, max=1.0)


@stands_for("torch.Tensor.bincount", "torch.bincount", because="OneFlow's gives float64 for weights of float32.")
def bincount(input, weights=None, minlength=0):
    if weights is None:
        return flow.bincount(input, minlength=minlength)
    return flow.bincount(input, weights=weights, minlength=minlength).to(dtype_of(weights))
