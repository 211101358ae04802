"""Elementwise functions of one operand that need more than another name; plain ones are rows of `renames.py`."""

import math

from torch2flow.models.lowering.lazy import F, flow, helper, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.neg", "aten.negative")
def neg(self):
    if is_float(self.dtype):
        return -self
    return 0 - self


@operator("aten.sign", "aten.sgn")
def sign(self):
    if self.dtype == flow.bool:
        return self
    if is_float(self.dtype):
        return flow.sign(self)
    return flow.sign(self).to(self.dtype)


@operator("aten.mish")
def mish(self):
    return self * flow.tanh(F.softplus(self))


@operator("aten.ceil", "aten.floor", "aten.trunc", "aten.fix", "aten.round")
def whole(self, *, name):
    return getattr(flow, "trunc" if name == "fix" else name)(self) if is_float(self.dtype) else self


@operator("aten.round.decimals")
def round_decimals(self, decimals=0):
    if abs(decimals) > 38:
        raise NotImplementedError(f"rounding to {decimals} decimals, which no float has")
    if decimals == 0:
        return flow.round(self)
    if decimals > 0:
        return flow.round(self * 10**decimals) / 10**decimals
    return flow.round(self / 10**-decimals) * 10**-decimals


@operator("aten.frac")
def frac(self):
    return self - flow.trunc(self)


@operator("aten.square")
def square(self, *, out_dtype):
    if is_float(self.dtype):
        return flow.square(self)
    if self.dtype != out_dtype:
        return self.to(out_dtype)
    return self * self


@operator("aten.exp2", "aten.special_exp2", promotes=("self",), floats=True)
def exp2(self):
    return flow.pow(2.0, self)


@operator("aten.logit", "aten.special_logit", promotes=("self",), floats=True)
def logit(self, eps=None):
    chance = self if eps is None else flow.clamp(self, min=eps, max=1 - eps)
    return flow.log(chance / (1 - chance))


@operator("aten.deg2rad", "aten.rad2deg", promotes=("self",), floats=True)
def in_other_unit(self, *, name):
    return self * (math.pi / 180 if name == "deg2rad" else 180 / math.pi)


@operator("aten.sinc", "aten.special_sinc", promotes=("self",), floats=True)
def sinc(self):
    return sine_cardinal(self * math.pi)


@helper
def sine_cardinal(x):
    """sin(x) / x; near 0 by its series, whose gradient is right there too."""
    near = flow.abs(x) < 1e-3
    square = flow.square(flow.where(near, x, flow.zeros_like(x)))
    return flow.where(near, 1 - square / 6, flow.sin(x) / flow.where(near, flow.ones_like(x), x))


@operator("aten.nan_to_num")
def nan_to_num(self, nan=None, posinf=None, neginf=None):
    if not is_float(self.dtype):
        return self
    return replace_non_finite(self, nan, posinf, neginf)


@helper
def replace_non_finite(x, nan=None, posinf=None, neginf=None):
    """PyTorch's `nan_to_num`."""
    limits = flow.finfo(x.dtype)
    x = x.masked_fill(flow.isnan(x), nan or 0.0)
    x = x.masked_fill(x == float("inf"), limits.max if posinf is None else posinf)
    return x.masked_fill(x == -float("inf"), limits.min if neginf is None else neginf)


@operator("aten.isnan", "aten.isinf")
def is_special(self, *, name):
    return getattr(flow, name)(self) if is_float(self.dtype) else self != self


@operator("aten.isfinite")
def isfinite(self):
    if is_float(self.dtype):
        return flow.logical_not(flow.logical_or(flow.isnan(self), flow.isinf(self)))
    return self == self


@operator("aten.isreal")
def isreal(self):
    return self == self


@operator("aten.angle", promotes=("self",), floats=True)
def angle(self):
    return (self < 0).to(self.dtype) * math.pi + self * 0


@operator("aten.special_entr", promotes=("self",), floats=True)
@helper
def entropy(self):
    """PyTorch's `special.entr`: -x * log(x)."""
    result = flow.where(self > 0, -self * flow.log(self), flow.zeros_like(self))
    return flow.where(self < 0, flow.full_like(self, float("-inf")), result + self * 0)


@operator("aten.special_ndtr", promotes=("self",), floats=True)
def normal_distribution(self):
    return 0.5 * (1 + flow.erf(self * 0.7071067811865476))


@operator("aten.isposinf", "aten.isneginf")
def is_infinity(self, *, name):
    return self == float("inf" if name == "isposinf" else "-inf")


@operator("aten.signbit", promotes=("self",), floats=True)
def signbit(self):
    return flow.logical_or(self < 0, 1 / self < 0)  # also of -0.0


@operator("aten.gelu")
def gelu(self, approximate="none"):
    return F.gelu(self, approximate=approximate)


@operator("aten.softplus")
def softplus(self, beta=1, threshold=20):
    return F.softplus(self, beta=beta, threshold=threshold)


@operator("aten.elu")
def elu(self, alpha=1, scale=1, input_scale=1):
    if scale == 1 and input_scale == 1:
        return F.elu(self, alpha)
    return scale * (F.relu(self) + alpha * flow.expm1(-F.relu(-input_scale * self)))


@operator("aten.celu")
def celu(self, alpha=1.0):
    return F.celu(self, alpha=alpha)


@operator("aten.leaky_relu")
def leaky_relu(self, negative_slope=0.01):
    return F.leaky_relu(self, alpha=negative_slope)


@operator("aten.hardtanh")
def hardtanh(self, min_val=-1, max_val=1):
    return F.hardtanh(self, min_val, max_val) if is_float(self.dtype) else flow.clamp(self, min=min_val, max=max_val)


@operator("aten.relu6")
def relu6(self):
    return F.relu6(self) if is_float(self.dtype) else flow.clamp(self, min=0, max=6)


@operator("aten.threshold")
def threshold_(self, threshold, value):
    if not is_float(self.dtype):
        return self.masked_fill(self <= threshold, value)
    return F.threshold(self, threshold=threshold, value=value)


@operator("aten.hardshrink")
def hardshrink(self, lambd=0.5):
    return F.hardshrink(self, lambd=lambd)


@operator("aten.softshrink")
def softshrink(self, lambd=0.5):
    return F.softshrink(self, alpha=lambd)


@operator("aten.rrelu")
def rrelu(self, lower=0.125, upper=0.3333333333333333, training=False):
    if training is False:
        return F.leaky_relu(self, alpha=(lower + upper) / 2)
    return random_leaky_relu(self, lower, upper, training)


@helper
def random_leaky_relu(x, lower, upper, training=True):
    """PyTorch's `rrelu`: while training, each slope is drawn evenly between two bounds."""
    if not training:
        return F.leaky_relu(x, alpha=(lower + upper) / 2)
    slope = lower + (upper - lower) * flow.rand(x.shape, device=x.device)
    return flow.where(x >= 0, x, slope * x)


@operator("aten.prelu", "aten._prelu_kernel")
@helper
def prelu(self, weight):
    """PyTorch's `prelu`: the slopes lie along dimension 1."""
    if weight.numel() > 1 and weight.ndim == 1:
        weight = weight.reshape(1, -1, *[1] * (self.ndim - 2))
    return flow.where(self > 0, self, weight * self)


@operator("aten.glu")
def glu(self, dim=-1):
    return F.glu(self, dim=dim)


@operator("aten.log_sigmoid")
def log_sigmoid(self):
    return -F.softplus(-self)


@operator("aten.log_sigmoid_forward")
def log_sigmoid_forward(self):
    return (-F.softplus(-self), flow.exp(-flow.abs(self)))


@operator(
    "aten.softmax", "aten._softmax", "aten.special_softmax",
    "aten.log_softmax", "aten._log_softmax", "aten.special_log_softmax",
)  # fmt: skip
def softmax(self, dim, dtype=None, half_to_float=False, *, out_dtype, name):
    name = name.removeprefix("special").strip("_")
    if self.ndim == 0:
        return getattr(flow, "zeros_like" if name == "log_softmax" else "ones_like")(self, dtype=out_dtype)
    return getattr(F, name)(self if self.dtype == out_dtype else self.to(out_dtype), dim=dim)


@operator("aten._safe_softmax")
@helper
def safe_softmax(self, dim, dtype=None):
    """`softmax` that gives zeros where a whole row is -inf, as PyTorch's attention does."""
    empty = (self == -float("inf")).all(dim=dim, keepdim=True)
    return F.softmax(self.masked_fill(empty, 0.0), dim=dim).masked_fill(empty, 0.0)


@operator("aten.erfinv", "aten.special_erfinv", promotes=("self",), floats=True)
@helper
def inverse_of_erf(self):
    """PyTorch's `erfinv`, with its gradient, which OneFlow's has not."""
    found = flow.erfinv(self.detach())
    # The derivative of the inverse of erf, by its value.
    return with_slope(found, self, (math.sqrt(math.pi) / 2) * flow.exp(found * found)) if self.requires_grad else found


@operator("aten.lgamma", "aten.special_gammaln", promotes=("self",), floats=True)
@helper
def log_of_gamma(self):
    """PyTorch's `lgamma`, with its gradient: that of OneFlow's is 0 everywhere."""
    found = flow.lgamma(self.detach())
    if not self.requires_grad:
        return found
    return with_slope(found, self, slope_of_lgamma(self.detach().to(flow.float64)).to(self.dtype))


@helper
def with_slope(value, x, slope):
    """A value whose derivative in `x` is a slope, which leaves the value as it is where `x` or the slope is infinite.

    Where the value is NaN, so is its derivative.
    """
    plain = flow.where(flow.abs(x.detach()) < float("inf"), x, flow.zeros_like(x))
    slope = flow.clamp(flow.where(slope == slope, slope, flow.zeros_like(slope)), min=-3e38, max=3e38)
    slope = flow.where(value == value, slope, value)
    return value + (plain - plain.detach()) * slope


@operator("aten.digamma", "aten.special_digamma", "aten.special_psi")
def digamma(self, *, out_dtype):
    return slope_of_lgamma(self.to(flow.float64)).to(out_dtype)


@helper
def slope_of_lgamma(x):
    """The derivative of `lgamma`: a series for what is above 8, which smaller numbers are brought to step by step."""
    # Of what is left of a half by reflection; there is none of whole numbers below 0, and at 0 it is infinite.
    is_left, part = x < 0.5, x - flow.floor(x)
    has_none = flow.logical_and(x < 0, part == 0)
    turned = math.pi / flow.tan(math.pi * flow.where(is_left, part, flow.full_like(x, 0.5)))
    x, total = flow.where(is_left, 1 - x, x), 0.0
    for _ in range(8):
        small = (x < 8).to(flow.float64)
        total = total - small / x
        x = x + small
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square / 132))))
    found = total + flow.log(x) - 0.5 / x - series
    found = flow.where(is_left, found - turned, found)
    return flow.where(has_none, flow.full_like(found, float("nan")), found)
