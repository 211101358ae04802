"""Sums, means, extremes, norms, orders: what makes one number of many."""

from torch2flow.models.lowering.lazy import flow, helper, is_float
from torch2flow.models.lowering.registry import operator


def dims_of(x, dim):
    """The dimensions that are given, or all."""
    return dim or tuple(range(x.ndim))


@operator("aten.sum", "aten.sum.dim_IntList", "aten.mean", "aten.mean.dim")
def sum_or_mean(self, dim=None, keepdim=False, dtype=None, *, out_dtype, name):
    if self.ndim == 0:
        return self.to(out_dtype)
    if self.dtype == out_dtype == flow.float16:
        wide = getattr(self.to(flow.float32), name)
        return (wide(dim=dims_of(self, dim), keepdim=keepdim) if dim or keepdim else wide()).to(out_dtype)
    if self.dtype != out_dtype:
        return getattr(self.to(out_dtype), name)(dim=dims_of(self, dim), keepdim=keepdim)
    if not dim and not keepdim:
        return getattr(self, name)()
    return getattr(self, name)(dim=dims_of(self, dim), keepdim=keepdim)


@operator("aten.nansum")
def nansum(self, dim=None, keepdim=False, dtype=None, *, out_dtype):
    if not is_float(self.dtype):
        return self.to(out_dtype).sum(dim=dims_of(self, dim), keepdim=keepdim)
    return sum_of_numbers(self.to(out_dtype), dims_of(self, dim), keepdim)


@helper
def sum_of_numbers(x, dim, keepdim=False):
    """PyTorch's `nansum`: the sum of what is not NaN; OneFlow 0.9.0's has a gradient at NaN too."""
    x = x.masked_fill(flow.isnan(x), 0.0)
    return x.sum(dim=dim, keepdim=keepdim) if dim else x


@operator("aten.nanmean")
def nanmean(self, dim=None, keepdim=False, dtype=None):
    return mean_of_numbers(self, dims_of(self, dim), keepdim)


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
    x = self.to(out_dtype)
    if is_float(out_dtype):
        return product_along(x.reshape(-1), 0) if dim is None else product_along(x, dim, keepdim)
    return (flow.prod(x) if dim is None else flow.prod(x, dim=dim, keepdim=keepdim)).to(out_dtype)


@helper
def product_along(x, dim, keepdim=False):
    """PyTorch's `prod`, by halves: the gradient of OneFlow's divides by the elements, and is NaN where one is 0."""
    while x.shape[dim] > 1:
        half = x.shape[dim] // 2
        rest = x.narrow(dim, 2 * half, x.shape[dim] - 2 * half)
        x = x.narrow(dim, 0, half) * x.narrow(dim, half, half)
        x = flow.cat([x, rest], dim=dim) if rest.shape[dim] else x
    return x if keepdim else x.squeeze(dim)


@operator("aten.amax", "aten.amin")
def extreme(self, dim=(), keepdim=False, *, name):
    if self.ndim == 0:
        return self
    return getattr(self, name)(dim=dims_of(self, dim), keepdim=keepdim)


@operator("aten.aminmax")
def aminmax(self, dim=None, keepdim=False):
    if self.ndim == 0:
        return self, self
    dim = dims_of(self, ()) if dim is None else dim
    return self.amin(dim=dim, keepdim=keepdim), self.amax(dim=dim, keepdim=keepdim)


@operator("aten.max.default", "aten.min.default")
def extreme_of_all(self, *, name):
    return getattr(self, name)()


@operator("aten.max.dim", "aten.min.dim")
def extreme_and_place(self, dim, keepdim=False, *, name):
    if self.ndim == 0:
        return self, flow.zeros_like(self, dtype=flow.int64)
    return (largest_along if name == "max" else smallest_along)(self, dim, keepdim)


@helper
def largest_along(x, dim, keepdim=False):
    """PyTorch's `max`: the gradient goes to one of several equal values, where OneFlow's shares it."""
    places = flow.max(x.detach(), dim, keepdim=True)[1]
    values = flow.gather(x, dim, places)
    return (values, places) if keepdim else (values.squeeze(dim), places.squeeze(dim))


@helper
def smallest_along(x, dim, keepdim=False):
    """PyTorch's `min`: the gradient goes to one of several equal values, where OneFlow's shares it."""
    places = flow.min(x.detach(), dim, keepdim=True)[1]
    values = flow.gather(x, dim, places)
    return (values, places) if keepdim else (values.squeeze(dim), places.squeeze(dim))


@operator("aten.argmax", "aten.argmin")
def place_of_extreme(self, dim=None, keepdim=False, *, name):
    if self.ndim == 0:
        return flow.zeros_like(self, dtype=flow.int64)
    if dim is not None:
        return getattr(flow, name)(self, dim=dim, keepdim=keepdim)
    place = getattr(flow, name)(self.reshape(-1), dim=0)
    return place.reshape(*[1] * self.ndim) if keepdim else place


@operator(
    "aten.var", "aten.var.dim", "aten.var.correction", "aten.std", "aten.std.dim", "aten.std.correction"
)  # fmt: skip
def deviation(self, dim=None, unbiased=True, keepdim=False, correction=None, *, name):
    if correction not in (None, 0, 1):
        variance = corrected_variance(self, dims_of(self, dim), correction, keepdim)
    else:
        # OneFlow 0.9.0 fails when it is given all dimensions by number.
        options = {"dim": dim} if dim and len(dim) < self.ndim else {}
        variance = self.var(**options, unbiased=unbiased if correction is None else correction == 1, keepdim=keepdim)
    return root_of_variance(variance) if name == "std" else variance


@operator(
    "aten.var_mean", "aten.var_mean.dim", "aten.var_mean.correction",
    "aten.std_mean", "aten.std_mean.dim", "aten.std_mean.correction",
)  # fmt: skip
def deviation_and_mean(self, dim=None, unbiased=True, keepdim=False, correction=None, *, name):
    dim = dims_of(self, dim)
    variance = corrected_variance(self, dim, int(unbiased) if correction is None else correction, keepdim)
    return root_of_variance(variance) if name == "std_mean" else variance, self.mean(dim=dim, keepdim=keepdim)


@helper
def root_of_variance(variance):
    """A standard deviation, whose gradient is 0 where all values are equal; that of OneFlow's `std` is NaN."""
    varies = variance != 0
    return flow.sqrt(flow.where(varies, variance, flow.ones_like(variance))) * varies.to(variance.dtype)


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
    return flow.logsumexp(self, dim=dims_of(self, dim), keepdim=keepdim)


@operator(
    "aten.linalg_vector_norm", "aten.norm.Scalar", "aten.norm.ScalarOpt_dim", "aten.norm.ScalarOpt_dim_dtype",
    "aten.norm.ScalarOpt_dtype",
)  # fmt: skip
def vector_norm(self, ord=2, p=2, dim=None, keepdim=False, dtype=None, *, out_dtype, name):
    power = ord if name == "linalg_vector_norm" else 2 if p is None else p
    x = self if self.dtype == out_dtype else self.to(out_dtype)
    if self.ndim == 0:
        return (self != 0).to(out_dtype) if power == 0 else flow.abs(x)
    options = {} if power == 2 else {"ord": power}
    return flow.linalg.vector_norm(x, **options, dim=dims_of(self, dim), keepdim=keepdim)


@operator("aten.quantile")
@helper
def quantile_along(self, q, dim=None, keepdim=False, interpolation="linear"):
    """PyTorch's `quantile`."""
    flat, ndim = dim is None or self.ndim == 0, self.ndim
    self = flow.reshape(self, (-1,)) if flat else flow.movedim(self, dim, -1)
    self = flow.sort(self, -1)[0]
    found = []
    for each in q.reshape(-1).tolist() if isinstance(q, flow.Tensor) else [q]:
        place = each * (self.shape[-1] - 1)
        low, high = int(place), int(place) + (place > int(place))
        share = {
            "linear": place - low,
            "lower": 0.0,
            "higher": float(place > low),
            "midpoint": 0.5 * (place > low),
        }.get(interpolation, float(round(place) > low))
        found.append(self[..., low] * (1 - share) + self[..., high] * share)
    if keepdim:
        found = [each.reshape([1] * ndim) if flat else each.unsqueeze(dim) for each in found]
    return flow.stack(found) if isinstance(q, flow.Tensor) and q.ndim else found[0]
