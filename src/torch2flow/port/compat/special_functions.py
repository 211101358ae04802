"""Functions of mathematics that OneFlow lacks, in float64 inside, under PyTorch's signatures."""

import math
from collections import namedtuple

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.arithmetic import times_log1p
from torch2flow.models.lowering.operators.elementwise import slope_of_lgamma
from torch2flow.models.lowering.operators.quantization import fake_quantized
from torch2flow.models.lowering.operators.special_functions import (
    bessel_i0,
    bessel_i1,
    mantissa_and_exponent,
    slope_of_digamma,
)
from torch2flow.port.compat.arithmetic import lgamma
from torch2flow.port.compat.common import as_float, promoted, stored
from torch2flow.port.compat.registry import stands_for

Frexp = namedtuple("Frexp", ["mantissa", "exponent"])


def in_float64(function, input, *arguments, out=None):
    """A function of float64 numbers, in PyTorch's dtype for what was given."""
    return stored(function(*arguments, input.to(flow.float64)).to(as_float(input).dtype), out)


def scaled(function):
    """A Bessel function times exp(-|x|)."""
    return lambda x: function(x) * flow.exp(-flow.abs(x))


@stands_for(
    "torch.i0", "torch.special.i0", "torch.special.modified_bessel_i0", "torch.Tensor.i0", because="OneFlow has none."
)
def i0(input, *, out=None):
    return in_float64(bessel_i0, input, out=out)


@stands_for("torch.special.i0e", because="OneFlow has none.")
def i0e(input, *, out=None):
    return in_float64(scaled(bessel_i0), input, out=out)


@stands_for("torch.special.i1", "torch.special.modified_bessel_i1", because="OneFlow has none.")
def i1(input, *, out=None):
    return in_float64(bessel_i1, input, out=out)


@stands_for("torch.special.i1e", because="OneFlow has none.")
def i1e(input, *, out=None):
    return in_float64(scaled(bessel_i1), input, out=out)


@stands_for("torch.special.erfc", because="OneFlow has it as `erfc` alone.")
def special_erfc(input, *, out=None):
    return stored(flow.erfc(as_float(input)), out)


@stands_for("torch.special.ndtr", because="OneFlow has none.")
def ndtr(input, *, out=None):
    return stored(flow.erfc(-as_float(input) * math.sqrt(0.5)) / 2, out)


@stands_for("torch.special.log_ndtr", because="OneFlow has none.")
def log_ndtr(input, *, out=None):
    return in_float64(log_of_normal_distribution, input, out=out)


def log_of_normal_distribution(x):
    """The logarithm of how likely a normal number is below x; far on the left by its asymptotic series."""
    near = x > -20
    left = flow.where(near, -20 * flow.ones_like(x), x)
    series = 1 - left**-2 + 3 * left**-4 - 15 * left**-6 + 105 * left**-8
    far = -(left**2) / 2 - flow.log(-left) - math.log(2 * math.pi) / 2 + flow.log(series)
    return flow.where(near, flow.log(flow.erfc(-flow.where(near, x, left) * math.sqrt(0.5)) / 2), far)


@stands_for("torch.special.psi", because="OneFlow has none.")
def psi(input, *, out=None):
    return in_float64(slope_of_lgamma, input, out=out)


@stands_for("torch.polygamma", "torch.special.polygamma", because="OneFlow has none.")
def polygamma(n, input, *, out=None):
    return psi(input, out=out) if n == 0 else in_float64(slope_of_digamma, input, n, out=out)


@stands_for("torch.Tensor.polygamma", because="OneFlow has none.")
def polygamma_of(input, n):
    return polygamma(n, input)


@stands_for("torch.special.multigammaln", "torch.mvlgamma", "torch.Tensor.mvlgamma", because="OneFlow has none.")
def multigammaln(input, p):
    input = as_float(input)
    return p * (p - 1) / 4 * math.log(math.pi) + sum(lgamma(input - j / 2) for j in range(p))


@stands_for("torch.special.zeta", because="OneFlow has none.")
def zeta(input, other, *, out=None):
    """Hurwitz's zeta function: ten terms, and Euler's and Maclaurin's formula for the others."""
    dtype = as_float(next(each for each in (input, other) if isinstance(each, flow.Tensor))).dtype
    x, q = (each.to(flow.float64) if isinstance(each, flow.Tensor) else float(each) for each in (input, other))
    total = sum((q + k) ** -x for k in range(10))
    end = q + 10
    total, term = total + end ** (1 - x) / (x - 1) + end**-x / 2, x * end ** (-x - 1)
    for k, number in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6), start=1):
        total = total + number / math.factorial(2 * k) * term
        term = term * (x + 2 * k - 1) * (x + 2 * k) / end**2
    return stored(total.to(dtype), out)


@stands_for("torch.special.xlog1py", because="OneFlow has none.")
def xlog1py(input, other, *, out=None):
    input, other = promoted(input, other)
    input, other = (as_float(each) if isinstance(each, flow.Tensor) else each for each in (input, other))
    like = input if isinstance(input, flow.Tensor) else other
    input, other = (each if isinstance(each, flow.Tensor) else flow.full_like(like, each) for each in (input, other))
    return stored(times_log1p(input, other), out)


@stands_for("torch.frexp", "torch.Tensor.frexp", because="OneFlow has none.")
def frexp(input):
    return Frexp(*mantissa_and_exponent(input))


stands_for("torch.fake_quantize_per_tensor_affine", because="OneFlow has none.")(fake_quantized)
