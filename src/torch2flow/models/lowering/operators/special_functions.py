"""Functions of mathematics that OneFlow lacks, by their series, in float64."""

import math

from torch2flow.models.lowering.lazy import flow, helper
from torch2flow.models.lowering.operators.elementwise import slope_of_lgamma
from torch2flow.models.lowering.registry import operator


@operator("aten.i0", "aten.special_i0", "aten.special_modified_bessel_i0")
def i0(self, *, out_dtype):
    return bessel_i0(self.to(flow.float64)).to(out_dtype)


@operator("aten.special_i1", "aten.special_modified_bessel_i1")
def i1(self, *, out_dtype):
    return bessel_i1(self.to(flow.float64)).to(out_dtype)


@operator("aten.special_i0e")
def i0e(self, *, out_dtype):
    x = self.to(flow.float64)
    return (bessel_i0(x) * flow.exp(-flow.abs(x))).to(out_dtype)


@operator("aten.special_i1e")
def i1e(self, *, out_dtype):
    x = self.to(flow.float64)
    return (bessel_i1(x) * flow.exp(-flow.abs(x))).to(out_dtype)


@helper
def bessel_i0(x):
    """The modified Bessel function of the first kind and order 0 of float64 numbers, by its power series."""
    term = total = flow.ones_like(x)
    if x.numel() == 0:
        return x
    for k in range(1, 25 + int(1.5 * x.abs().max().item())):
        term = term * (x / (2 * k)) ** 2
        total = total + term
    return total


@helper
def bessel_i1(x):
    """The modified Bessel function of the first kind and order 1 of float64 numbers, by its power series."""
    term = total = x / 2
    if x.numel() == 0:
        return x
    for k in range(1, 25 + int(1.5 * x.abs().max().item())):
        term = term * x * x / (4 * k * (k + 1))
        total = total + term
    return total


@operator("aten.polygamma", "aten.special_polygamma")
def polygamma(n, self, *, out_dtype):
    if n == 0:
        return slope_of_lgamma(self.to(flow.float64)).to(out_dtype)
    return slope_of_digamma(n, self.to(flow.float64)).to(out_dtype)


@helper
def slope_of_digamma(n, x):
    """The n-th derivative of `digamma`: a series for what is above 10 + n, which smaller numbers are brought to."""
    if x.numel() == 0:
        return x
    total = flow.zeros_like(x)
    for _ in range(max(0, math.ceil(10 + n - x.min().item()))):
        small = (x < 10 + n).to(flow.float64)
        total = total + small * math.factorial(n) / x ** (n + 1)
        x = x + small
    total = total + math.factorial(n - 1) / x**n + math.factorial(n) / (2 * x ** (n + 1))
    for k, number in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6), start=1):
        total = total + number * math.factorial(2 * k + n - 1) / math.factorial(2 * k) / x ** (2 * k + n)
    return total if n % 2 else -total


@operator("aten.frexp")
@helper
def mantissa_and_exponent(self):
    """PyTorch's `frexp`: numbers from 0.5 to 1, and powers of two."""
    wide = self.to(flow.float64)
    size = flow.abs(wide)
    plain = flow.logical_and(size > 0, size < float("inf"))
    safe = flow.where(plain, size, flow.ones_like(size))
    exponent = flow.floor(flow.log2(safe)) + 1
    exponent = exponent + (safe * flow.pow(2.0, -exponent) >= 1).to(flow.float64)
    exponent = exponent - (safe * flow.pow(2.0, -exponent) < 0.5).to(flow.float64)
    exponent = flow.where(plain, exponent, flow.zeros_like(exponent))
    return (wide * flow.pow(2.0, -exponent)).to(self.dtype), exponent.to(flow.int32)
