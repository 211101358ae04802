"""Arithmetic of two operands, and elementwise functions, as far as OneFlow lacks them or gives another result."""

import math

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.arithmetic import (
    angle_of,
    copysign,
    dist,
    floor_quotient,
    greatest_common_divisor,
    heaviside,
    hypot,
    least_common_multiple,
    logaddexp,
    logaddexp2,
    times_log,
)
from torch2flow.models.lowering.operators.arithmetic import remainder as remainder_of_floats
from torch2flow.models.lowering.operators.elementwise import (
    angle,
    entropy,
    inverse_of_erf,
    log_of_gamma,
    replace_non_finite,
    sine_cardinal,
    slope_of_lgamma,
)
from torch2flow.port.compat.common import as_float, dtype_of, number, promoted, stored, written
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.subtract", "torch.Tensor.subtract", because="OneFlow has it as `sub` alone.")
def subtract(input, other, *, alpha=1, out=None):
    input, other = promoted(input, other)
    return stored(input - other if alpha == 1 else input - alpha * other, out)


@stands_for("torch.Tensor.sub", because="OneFlow's method takes no `alpha=`.", only_with=("alpha",))
def sub(self, other, *, alpha=1):
    return subtract(self, other, alpha=alpha)


@stands_for("torch.Tensor.sub_", because="OneFlow's method takes no `alpha=`.", only_with=("alpha",))
def sub_(self, other, *, alpha=1):
    return flow._C.sub(self, other if alpha == 1 else alpha * other, inplace=True)


@stands_for("torch.rsub", because="OneFlow has no `rsub`.")
def rsub(input, other, *, alpha=1):
    return subtract(other, input, alpha=alpha)


@stands_for("torch.multiply", "torch.Tensor.multiply", because="OneFlow has it as `mul` alone.")
def multiply(input, other, *, out=None):
    input, other = promoted(input, other)
    return stored(input * other, out)


@stands_for(
    "torch.div",
    "torch.divide",
    "torch.true_divide",
    "torch.Tensor.div",
    "torch.Tensor.divide",
    "torch.Tensor.true_divide",
    because="OneFlow's takes no `rounding_mode=`.",
    only_with=("rounding_mode",),
)
def div(input, other, *, rounding_mode=None, out=None):
    if rounding_mode == "floor":
        return stored(floor_divide(input, other), out)
    input, other = promoted(input, other)
    if rounding_mode is None:
        return stored(as_float(input) / other, out)
    if not input.dtype.is_floating_point:
        return stored(flow.trunc(input.to(flow.float64) / other).to(dtype_of(input, other)), out)
    return stored(flow.trunc(input / other), out)


@stands_for("torch.Tensor.div_", because="OneFlow's takes no `rounding_mode=`.", only_with=("rounding_mode",))
def div_(self, other, *, rounding_mode=None):
    if rounding_mode is None:
        return self.__itruediv__(other)
    return written(self, div(self, other, rounding_mode=rounding_mode))


@stands_for(
    "torch.floor_divide",
    "torch.Tensor.floor_divide",
    "torch.Tensor.__floordiv__",
    "torch.Tensor.__ifloordiv__",
    because="OneFlow's rounds towards zero: -7 // 2 is -3, where PyTorch gives -4.",
)
def floor_divide(input, other, *, out=None):
    input, other = promoted(input, other)
    dtype = dtype_of(input, other)
    if dtype.is_floating_point:
        return stored(floor_quotient(input.to(dtype), other), out)
    return stored(flow.floor(input.to(flow.float64) / other).to(dtype), out)


def filled_like(x, value):
    """A number in the shape of a tensor, in the common dtype of both; an array of NumPy's as a tensor."""
    value = number(value)
    return value if isinstance(value, flow.Tensor) else flow.full_like(x, value, dtype=dtype_of(x, value))


@stands_for("torch.Tensor.__rfloordiv__", because="OneFlow's fails.")
def number_floor_divide(self, other):
    return floor_divide(filled_like(self, other), self)


@stands_for("torch.Tensor.floor_divide_", because="OneFlow has no `floor_divide_`.")
def floor_divide_(self, other):
    return written(self, floor_divide(self, other))


@stands_for(
    "torch.remainder",
    "torch.Tensor.remainder",
    "torch.Tensor.__mod__",
    "torch.Tensor.__imod__",
    because="OneFlow's `%` takes the sign of the dividend: -7 % 3 is -1, where PyTorch gives 2.",
)
def remainder(input, other, *, out=None):
    input, other = promoted(input, other)
    return stored(remainder_of_floats(input.to(dtype_of(input, other)), other), out)


@stands_for("torch.Tensor.__rmod__", because="OneFlow's fails.")
def number_remainder(self, other):
    return remainder(filled_like(self, other), self)


@stands_for("torch.Tensor.remainder_", because="OneFlow has no `remainder_`.")
def remainder_(self, other):
    return written(self, remainder(self, other))


@stands_for("torch.Tensor.fmod_", because="OneFlow has no `fmod_`.")
def fmod_(self, other):
    return written(self, flow.fmod(self, other))


@stands_for(
    "torch.neg",
    "torch.negative",
    "torch.Tensor.neg",
    "torch.Tensor.negative",
    "torch.Tensor.__neg__",
    because="OneFlow's gives float32 for integers.",
)
def neg(input, *, out=None):
    return stored(flow.neg(input) if input.dtype.is_floating_point else 0 - input, out)


@stands_for("torch.Tensor.__pos__", because="OneFlow has no unary plus.")
def positive(self):
    return self


@stands_for(
    "torch.sign", "torch.sgn", "torch.Tensor.sign", "torch.Tensor.sgn", because="OneFlow's gives float32 for integers."
)
def sign(input, *, out=None):
    if input.dtype == flow.bool:
        return input
    return stored(flow.sign(input).to(input.dtype), out)


@stands_for("torch.square", "torch.Tensor.square", because="OneFlow's gives float32 for integers.")
def square(input, *, out=None):
    return stored(flow.square(input) if input.dtype.is_floating_point else input * input, out)


@stands_for("torch.ceil", "torch.Tensor.ceil", because="OneFlow's has no kernel for integers.")
def ceil(input, *, out=None):
    return stored(flow.ceil(input) if input.dtype.is_floating_point else input.clone(), out)


@stands_for("torch.floor", "torch.Tensor.floor", because="OneFlow's has no kernel for integers.")
def floor(input, *, out=None):
    return stored(flow.floor(input) if input.dtype.is_floating_point else input.clone(), out)


@stands_for(
    "torch.trunc",
    "torch.fix",
    "torch.Tensor.trunc",
    "torch.Tensor.fix",
    because="OneFlow's has no kernel for integers.",
)
def trunc(input, *, out=None):
    return stored(flow.trunc(input) if input.dtype.is_floating_point else input.clone(), out)


@stands_for(
    "torch.round",
    "torch.Tensor.round",
    because="OneFlow's takes no `decimals=`, and no integers.",
    only_with=("decimals",),
)
def round_to(input, *, decimals=0, out=None):
    if not input.dtype.is_floating_point:
        return stored(input.clone(), out)
    if decimals == 0:
        return stored(flow.round(input), out)
    return stored(flow.round(input * 10.0**decimals) / 10.0**decimals, out)


@stands_for("torch.frac", "torch.Tensor.frac", because="OneFlow has no `frac`.")
def fraction(input, *, out=None):
    return stored(input - flow.trunc(input), out)


@stands_for("torch.absolute", "torch.Tensor.absolute", because="OneFlow has it as `abs` alone.")
def absolute(input, *, out=None):
    return stored(flow.abs(input), out)


def without_slope(value, source):
    """A value that has a gradient of 0 in what it was made of."""
    nowhere = flow.zeros_like(source, dtype=flow.bool)
    return flow.where(nowhere, source, value.detach()) if source.requires_grad else value


@stands_for(
    "torch.Tensor.pow",
    "torch.pow",
    "torch.Tensor.__pow__",
    "torch.Tensor.__ipow__",
    because="OneFlow's gives float32 for integers to the power of integers, and NaN as the gradient of 0 ** 0.",
)
def power(input, exponent, *, out=None):
    input, exponent = promoted(input, exponent)
    if not isinstance(input, flow.Tensor):
        return stored(flow.pow(input, exponent) if input else without_slope(flow.pow(input, exponent), exponent), out)
    if not isinstance(exponent, flow.Tensor):
        return stored(flow.pow(input, exponent) if exponent else without_slope(flow.ones_like(input), input), out)
    if input.dtype.is_floating_point:
        if input.requires_grad or exponent.requires_grad:
            zero = input == 0
            exponent = flow.where(zero, exponent.detach(), exponent)
            input = flow.where(flow.logical_and(zero, exponent == 0), flow.ones_like(input), input)
        return stored(flow.pow(input, exponent), out)
    return stored(flow.pow(input.to(flow.float64), exponent.to(flow.float64)).to(input.dtype), out)


@stands_for("torch.Tensor.__rpow__", because="OneFlow's takes no NumPy numbers.")
def power_of_number(self, other):
    return power(other, self)


@stands_for("torch.float_power", "torch.Tensor.float_power", because="OneFlow has no `float_power`.")
def float_power(input, exponent):
    exponent = exponent.to(flow.float64) if isinstance(exponent, flow.Tensor) else exponent
    return flow.pow(input.to(flow.float64) if isinstance(input, flow.Tensor) else input, exponent)


@stands_for("torch.exp2", "torch.special.exp2", "torch.Tensor.exp2", because="OneFlow has no `exp2`.")
def exp2(input, *, out=None):
    return stored(flow.pow(2.0, as_float(input)), out)


@stands_for("torch.logit", "torch.special.logit", "torch.Tensor.logit", because="OneFlow has no `logit`.")
def logit(input, eps=None, *, out=None):
    chance = as_float(input) if eps is None else flow.clamp(as_float(input), min=eps, max=1 - eps)
    return stored(flow.log(chance / (1 - chance)), out)


@stands_for("torch.special.expit", because="OneFlow has it as `sigmoid` alone.")
def expit(input, *, out=None):
    return stored(flow.sigmoid(as_float(input)), out)


@stands_for("torch.special.erf", because="OneFlow has it as `erf` alone.")
def error_function(input, *, out=None):
    return stored(flow.erf(as_float(input)), out)


@stands_for("torch.special.entr", because="OneFlow has no `entr`.")
def entr(input):
    return entropy(as_float(input))


@stands_for(
    "torch.clamp",
    "torch.clip",
    "torch.Tensor.clamp",
    "torch.Tensor.clip",
    because="OneFlow's takes no tensors as bounds, no numbers of NumPy's, and cuts integers at integers.",
)
def clamp(input, min=None, max=None, *, out=None):
    if isinstance(min, flow.Tensor) or isinstance(max, flow.Tensor):
        input, min, max = promoted(input, min, max)
        input = input if min is None else flow.maximum(input, as_tensor_like(min, input))
        return stored(input if max is None else flow.minimum(input, as_tensor_like(max, input)), out)
    min, max = number(min), number(max)
    if not input.dtype.is_floating_point and (isinstance(min, float) or isinstance(max, float)):
        input = input.to(flow.float32)
    return stored(flow.clamp(input, min=min, max=max), out)


def as_tensor_like(value, x):
    """A number as a tensor of the dtype and on the device of another."""
    return value if isinstance(value, flow.Tensor) else flow.tensor(value, dtype=x.dtype, device=x.device)


@stands_for(
    "torch.clamp_min",
    "torch.Tensor.clamp_min",
    because="OneFlow's takes no tensor, and its gradient at the bound is another.",
)
def clamp_min(input, min, *, out=None):
    return clamp(input, min=min, out=out)


@stands_for(
    "torch.clamp_max",
    "torch.Tensor.clamp_max",
    because="OneFlow's takes no tensor, and its gradient at the bound is another.",
)
def clamp_max(input, max, *, out=None):
    return clamp(input, max=max, out=out)


@stands_for("torch.maximum", "torch.Tensor.maximum", because="OneFlow's takes no bools and no two dtypes.")
def maximum(input, other, *, out=None):
    input, other = promoted(input, other)
    return stored(flow.logical_or(input, other) if input.dtype == flow.bool else flow.maximum(input, other), out)


@stands_for("torch.minimum", "torch.Tensor.minimum", because="OneFlow's takes no bools and no two dtypes.")
def minimum(input, other, *, out=None):
    input, other = promoted(input, other)
    return stored(flow.logical_and(input, other) if input.dtype == flow.bool else flow.minimum(input, other), out)


@stands_for("torch.fmax", "torch.Tensor.fmax", because="OneFlow has no `fmax`.")
def fmax(input, other):
    return flow.where(flow.isnan(input), other, flow.where(flow.isnan(other), input, flow.maximum(input, other)))


@stands_for("torch.fmin", "torch.Tensor.fmin", because="OneFlow has no `fmin`.")
def fmin(input, other):
    return flow.where(flow.isnan(input), other, flow.where(flow.isnan(other), input, flow.minimum(input, other)))


@stands_for("torch.lerp", "torch.Tensor.lerp", because="OneFlow has no `lerp`.")
def lerp(input, end, weight, *, out=None):
    return stored(input + weight * (end - input), out)


@stands_for("torch.Tensor.lerp_", because="OneFlow has no `lerp_`.")
def lerp_(self, end, weight):
    return written(self, lerp(self, end, weight))


@stands_for(
    "torch.atan2",
    "torch.arctan2",
    "torch.Tensor.atan2",
    "torch.Tensor.arctan2",
    because="OneFlow's does not broadcast.",
)
def atan2(input, other, *, out=None):
    input, other = promoted(as_float(input), as_float(other))
    return stored(angle_of(input, other), out)


stands_for("torch.hypot", "torch.Tensor.hypot", because="OneFlow has no `hypot`.")(hypot)
stands_for("torch.logaddexp2", "torch.Tensor.logaddexp2", because="OneFlow has no `logaddexp2`.")(logaddexp2)
stands_for("torch.logaddexp", "torch.Tensor.logaddexp", because="OneFlow's differs for infinities.")(logaddexp)


@stands_for("torch.xlogy", "torch.special.xlogy", "torch.Tensor.xlogy", because="OneFlow has no `xlogy`.")
def xlogy(input, other):
    return times_log(*promoted(input, other))


@stands_for("torch.nan_to_num", "torch.Tensor.nan_to_num", because="OneFlow has no `nan_to_num`.")
def nan_to_num(input, nan=0.0, posinf=None, neginf=None, *, out=None):
    return stored(replace_non_finite(input, nan, posinf, neginf) if input.dtype.is_floating_point else input, out)


@stands_for("torch.Tensor.nan_to_num_", because="OneFlow has no `nan_to_num_`.")
def nan_to_num_(self, nan=0.0, posinf=None, neginf=None):
    return written(self, nan_to_num(self, nan, posinf, neginf))


@stands_for("torch.deg2rad", "torch.Tensor.deg2rad", because="OneFlow has no `deg2rad`.")
def deg2rad(input):
    return as_float(input) * (math.pi / 180)


@stands_for("torch.rad2deg", "torch.Tensor.rad2deg", because="OneFlow has no `rad2deg`.")
def rad2deg(input):
    return as_float(input) * (180 / math.pi)


@stands_for("torch.sinc", "torch.special.sinc", "torch.Tensor.sinc", because="OneFlow has no `sinc`.")
def sinc(input):
    return sine_cardinal(as_float(input) * math.pi)


stands_for("torch.heaviside", "torch.Tensor.heaviside", because="OneFlow has no `heaviside`.")(heaviside)
stands_for("torch.copysign", "torch.Tensor.copysign", because="OneFlow has no `copysign`.")(copysign)


@stands_for("torch.ldexp", "torch.Tensor.ldexp", because="OneFlow has no `ldexp`.")
def ldexp(input, other):
    return input * flow.pow(2.0, as_float(other))


stands_for("torch.dist", "torch.Tensor.dist", because="OneFlow has no `dist`.")(dist)


@stands_for("torch.conj", "torch.conj_physical", "torch.resolve_conj", "torch.Tensor.conj",
            because="OneFlow has real numbers alone.")  # fmt: skip
def conj(input):
    return input


@stands_for("torch.real", because="OneFlow has real numbers alone; complex ones are `Complex` here.")
def real(input):
    return input.real if hasattr(input, "pair") else input


@stands_for("torch.imag", because="OneFlow has real numbers alone; complex ones are `Complex` here.")
def imag(input):
    return input.imag


stands_for("torch.angle", "torch.Tensor.angle", because="OneFlow has no `angle`.")(angle)


@stands_for("torch.erfinv", "torch.special.erfinv", "torch.Tensor.erfinv", because="OneFlow's has no gradient.")
def erfinv(input, *, out=None):
    return stored(inverse_of_erf(as_float(input)), out)


@stands_for("torch.signbit", "torch.Tensor.signbit", because="OneFlow has no `signbit`.")
def signbit(input):
    return flow.logical_or(input < 0, flow.logical_and(input == 0, 1 / as_float(input) < 0))


stands_for("torch.gcd", "torch.Tensor.gcd", because="OneFlow has no `gcd`.")(greatest_common_divisor)
stands_for("torch.lcm", "torch.Tensor.lcm", because="OneFlow has no `lcm`.")(least_common_multiple)


@stands_for("torch.digamma", "torch.special.digamma", "torch.Tensor.digamma", because="OneFlow has no `digamma`.")
def digamma(input):
    return slope_of_lgamma(input.to(flow.float64)).to(as_float(input).dtype)


@stands_for(
    "torch.lgamma", "torch.special.gammaln", "torch.Tensor.lgamma", because="The gradient of OneFlow's is 0 everywhere."
)
def lgamma(input, *, out=None):
    return stored(log_of_gamma(as_float(input)), out)
