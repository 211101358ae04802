"""Elementwise arithmetic of two operands: sums, products, quotients, remainders, powers, extremes."""

from torch2flow.models.lowering.lazy import flow, helper, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.add", promotes=("self", "other"))
def add(self, other, alpha=1, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_or(self, other)
    if alpha == 1:
        return self + other
    return self + alpha * other


@operator("aten.sub", "aten.subtract", promotes=("self", "other"))
def sub(self, other, alpha=1):
    if alpha == 1:
        return self - other
    return self - alpha * other


@operator("aten.rsub", promotes=("self", "other"))
def rsub(self, other, alpha=1):
    if alpha == 1:
        return other - self
    return other - alpha * self


@operator("aten.mul", "aten.multiply", promotes=("self", "other"))
def mul(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_and(self, other)
    if isinstance(other, bool):
        return self * int(other)
    return self * other


@operator(
    "aten.div.Tensor", "aten.div.Scalar", "aten.divide.Tensor", "aten.divide.Scalar", "aten.true_divide",
    promotes=("self", "other"), floats=True,
)  # fmt: skip
def div(self, other):
    return self / other


@operator(
    "aten.div.Tensor_mode", "aten.div.Scalar_mode", "aten.divide.Tensor_mode", "aten.divide.Scalar_mode",
    promotes=("self", "other"),
)  # fmt: skip
def div_mode(self, other, rounding_mode=None, *, out_dtype):
    if rounding_mode is None:
        return self.to(out_dtype) / other
    if rounding_mode == "floor":
        return floor_divide(self, other, out_dtype=out_dtype)
    if is_float(out_dtype):
        return flow.trunc(self / other)
    return flow.trunc(self.to(flow.float64) / other).to(out_dtype)


@operator("aten.floor_divide", promotes=("self", "other"))
def floor_divide(self, other, *, out_dtype):
    if not isinstance(self, flow.Tensor):
        self = flow.full_like(other, self)  # of `7 // x`
    if is_float(out_dtype):
        return floor_quotient(self, other)
    return flow.floor(self.to(flow.float64) / other).to(out_dtype)


@helper
def floor_quotient(x, y):
    """PyTorch's and Python's floor division of floats: 1.0 // 0.1 is 9, where `floor(1.0 / 0.1)` is 10."""
    quotient = x / y
    exact = (x - remainder(x, y)) / y
    return flow.where(quotient.isinf(), quotient, flow.round(exact))


@operator("aten.remainder", promotes=("self", "other"))
@helper
def remainder(self, other):
    """PyTorch's `remainder`, which takes the sign of the divisor; OneFlow's `%` takes the dividend's."""
    if isinstance(other, flow.Tensor) and self.requires_grad:
        other = other + self * 0  # OneFlow's has no gradient where only one of the two has
    rest = flow.fmod(self, other)
    return flow.where(rest * other < 0, rest + other, rest)


@operator("aten.remainder.Scalar_Tensor", promotes=("self", "other"))
def remainder_of_scalar(self, other):
    return remainder(flow.full_like(other, self), other)


@operator("aten.fmod", promotes=("self", "other"))
def fmod(self, other, *, out_dtype):
    both = isinstance(self, flow.Tensor) and isinstance(other, flow.Tensor)
    # OneFlow's has no gradient where only one of two tensors has.
    return flow.fmod(self, other + self * 0 if both and is_float(out_dtype) else other)


@operator("aten.pow", promotes=("self", "exponent"))
def pow_(self, exponent):
    if not isinstance(exponent, flow.Tensor) and exponent == 0:
        return flow.ones_like(self)  # OneFlow's gradient is NaN at 0
    return self**exponent


@operator("aten.pow.Tensor_Tensor", promotes=("self", "exponent"))
def pow_of_tensors(self, exponent, *, out_dtype):
    if is_float(out_dtype):
        return self**exponent
    # OneFlow gives float32 for integers, which holds them up to 2 ** 24 only.
    return (self.to(flow.float64) ** exponent.to(flow.float64)).to(out_dtype)


@operator("aten.pow.Scalar", promotes=("self", "exponent"))
def pow_of_scalar(self, exponent):
    return flow.pow(self, exponent)


@operator("aten.float_power.Tensor_Tensor", "aten.float_power.Tensor_Scalar")
def float_power(self, exponent):
    # Beside a 0-dim tensor, OneFlow takes the dtype of the other.
    return self.to(flow.float64) ** (exponent.to(flow.float64) if isinstance(exponent, flow.Tensor) else exponent)


@operator("aten.float_power.Scalar")
def float_power_of_scalar(self, exponent):
    return flow.pow(self, exponent.to(flow.float64))


@operator("aten.addcmul", promotes=("self", "tensor1", "tensor2"))
def addcmul(self, tensor1, tensor2, value=1):
    if value == 1:
        return self + tensor1 * tensor2
    return self + value * tensor1 * tensor2


@operator("aten.addcdiv", promotes=("self", "tensor1", "tensor2"))
def addcdiv(self, tensor1, tensor2, value=1):
    if value == 1:
        return self + tensor1 / tensor2
    return self + value * tensor1 / tensor2


@operator("aten.lerp")
def lerp(self, end, weight):
    return self + weight * (end - self)


@operator("aten.maximum", "aten.max.other", "aten.clamp_min.Tensor", promotes=("self", "other", "min"))
def maximum(self, other=None, min=None, *, out_dtype):
    other = min if other is None else other
    return flow.logical_or(self, other) if out_dtype == flow.bool else flow.maximum(self, other)


@operator("aten.minimum", "aten.min.other", "aten.clamp_max.Tensor", promotes=("self", "other", "max"))
def minimum(self, other=None, max=None, *, out_dtype):
    other = max if other is None else other
    return flow.logical_and(self, other) if out_dtype == flow.bool else flow.minimum(self, other)


@operator("aten.fmax", "aten.fmin", promotes=("self", "other"))
def extreme_of_numbers(self, other, *, out_dtype, name):
    found = (maximum if name == "fmax" else minimum)(self, other, out_dtype=out_dtype)
    if not is_float(out_dtype):
        return found
    return flow.where(flow.isnan(self), other, flow.where(flow.isnan(other), self, found))


@operator(
    "aten.clamp", "aten.clip", "aten.clamp_min", "aten.clamp_max", promotes=("self", "min", "max")
)  # fmt: skip
def clamp(self, min=None, max=None):
    if self.dtype == flow.uint8:
        return flow.clamp(self.to(flow.int32), min=min, max=max).to(flow.uint8)
    return flow.clamp(self, min=min, max=max)


@operator("aten.clamp.Tensor", "aten.clip.Tensor", promotes=("self", "min", "max"))
def clamp_by_tensors(self, min=None, max=None):
    self = self if min is None else flow.maximum(self, min)
    return self if max is None else flow.minimum(self, max)


def empty_result(x, out_shape, out_dtype):
    """The result of an operator on nothing, which OneFlow 0.9.0 refuses or aborts at."""
    return flow.zeros(out_shape, dtype=out_dtype, device=x.device)


@operator("aten.atan2", "aten.arctan2", promotes=("self", "other"), floats=True)
def atan2(self, other, *, out_shape, out_dtype):
    return empty_result(self, out_shape, out_dtype) if 0 in out_shape else angle_of(self, other)


@helper
def angle_of(y, x):
    """PyTorch's `atan2`, which broadcasts, and has a gradient of 0 at the origin."""
    y, x = flow.broadcast_tensors(y, x)
    none = flow.logical_and(y == 0, x == 0)
    safe = flow.atan2(flow.where(none, flow.zeros_like(y), y), flow.where(none, flow.ones_like(x), x))
    return flow.where(none, flow.atan2(y.detach(), x.detach()), safe)


@operator("aten.hypot", promotes=("self", "other"))
def hypot(self, other):
    return flow.sqrt(self * self + other * other)


@operator("aten.logaddexp", promotes=("self", "other"))
def logaddexp(self, other):
    return flow.maximum(self, other) + flow.log1p(flow.exp(-distance(self, other)))


@operator("aten.logaddexp2", promotes=("self", "other"))
def logaddexp2(self, other):
    return flow.maximum(self, other) + flow.log2(1 + flow.pow(2.0, -distance(self, other)))


@helper
def distance(x, y):
    """How far two numbers are apart; 0 for two equal infinities."""
    return flow.where(x == y, flow.zeros_like(x * y), flow.abs(x - y))


@operator("aten.xlogy", "aten.special_xlogy", "aten.special_xlog1py", promotes=("self", "other"), floats=True)
def xlogy(self, other, *, out_shape, out_dtype, name):
    if 0 in out_shape:
        return empty_result(self, out_shape, out_dtype)
    return times_log1p(self, other) if name == "special_xlog1py" else times_log(self, other)


@helper
def times_log(x, y):
    """PyTorch's `xlogy`: x * log(y), and 0 where x is 0."""
    none = flow.logical_and(x == 0, y == y)
    return flow.where(none, flow.zeros_like(x * y), x * flow.log(flow.where(none, flow.ones_like(x * y), y)))


@helper
def times_log1p(x, y):
    """PyTorch's `xlog1py`: x * log(1 + y), and 0 where x is 0."""
    none = flow.logical_and(x == 0, y == y)
    return flow.where(none, flow.zeros_like(x * y), x * flow.log1p(flow.where(none, flow.zeros_like(x * y), y)))


@operator("aten.gcd", promotes=("self", "other"))
@helper
def greatest_common_divisor(self, other):
    """PyTorch's `gcd`, by Euclid's algorithm."""
    one, two = flow.broadcast_tensors(flow.abs(self), flow.abs(other))
    while bool((two != 0).any()):
        rest = one - two * flow.floor_divide(one, flow.where(two == 0, flow.ones_like(two), two))
        one, two = flow.where(two == 0, one, two), flow.where(two == 0, two, rest)
    return one


@operator("aten.lcm", promotes=("self", "other"))
@helper
def least_common_multiple(self, other):
    """PyTorch's `lcm`."""
    self, other = flow.broadcast_tensors(self, other)
    common = greatest_common_divisor(self, other)
    return flow.abs(flow.floor_divide(self, flow.where(common == 0, flow.ones_like(common), common)) * other)


@operator("aten.ldexp", promotes=("self", "other"), floats=True)
def ldexp(self, other):
    return self * flow.pow(2.0, other)


@operator("aten.dist", promotes=("self", "other"))
def dist(self, other, p=2):
    return flow.linalg.vector_norm((self - other).reshape(-1), p)


@operator("aten.heaviside", promotes=("self", "values"))
def heaviside(self, values):
    return flow.where(self == 0, values, (self > 0).to(values.dtype))


@operator("aten.copysign", promotes=("self", "other"), floats=True)
def copysign(self, other):
    if not isinstance(other, flow.Tensor):
        return flow.abs(self) * (-1 if other < 0 else 1)
    return flow.where(other < 0, -flow.abs(self), flow.abs(self))
