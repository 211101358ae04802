"""Complex numbers: a complex tensor is a real one whose last dimension holds the real and the imaginary part.

`program/complex_numbers.py` says of each call what is complex. A rule here gets complex operands as such pairs, and a
number of Python's as it is; what is real beside them was made a pair, but where it says otherwise.
"""

import math

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


def parts(number):
    """The real and the imaginary part of a Python number."""
    return complex(number).real, complex(number).imag


# Between real tensors and complex ones.


@operator("complex.complex.of_real")
def complex_of_parts(real, imag=None):
    return flow.stack([real, flow.zeros_like(real) if imag is None else imag], dim=-1)


@operator("complex.polar.of_real")
@helper
def polar(abs, angle):
    """PyTorch's `polar`."""
    return flow.stack([abs * flow.cos(angle), abs * flow.sin(angle)], dim=-1)


@operator("complex.abs", "complex.absolute")
@helper
def complex_abs(self):
    """PyTorch's `abs` of complex numbers; at zero its gradient is zero."""
    real, imag = self[..., 0], self[..., 1]
    # Squares of numbers that are very small or large are none of the dtype's: they are divided by the larger one.
    size = flow.maximum(real.abs(), imag.abs()).detach()
    is_usual = flow.logical_and(size > 0, size < float("inf"))
    size = flow.where(is_usual, size, flow.ones_like(size))
    square = (real / size) ** 2 + (imag / size) ** 2
    is_zero = square == 0
    root = flow.sqrt(flow.where(is_zero, flow.ones_like(square), square))
    return flow.where(is_zero, flow.zeros_like(root), root * size)


@operator("complex.angle")
@helper
def complex_angle(self):
    """PyTorch's `angle` of complex numbers; at zero its gradient is zero."""
    real, imag = self[..., 0], self[..., 1]
    is_zero = flow.logical_and(real == 0, imag == 0)
    real = flow.where(is_zero, flow.ones_like(real), real)
    return flow.atan2(flow.where(is_zero, flow.zeros_like(imag), imag), real)


@operator("complex.isnan", "complex.isinf", "complex.isfinite")
def is_of_kind(self, *, name):
    found = getattr(flow, name.replace("isfinite", "isinf"))(self)
    if name == "isfinite":
        return flow.logical_not(flow.logical_or(found, flow.isnan(self)).any(dim=-1))
    return found.any(dim=-1)


@operator("complex.eq", "complex.ne")
def equal(self, other, *, name):
    same = (self == flow.tensor(parts(other), dtype=self.dtype) if _is_number(other) else self == other).all(dim=-1)
    return same if name == "eq" else flow.logical_not(same)


def _is_number(value):
    return isinstance(value, int | float | complex)


# Arithmetic.


@operator("complex._conj", "complex.conj", "complex._conj_physical", "complex.conj_physical")
@helper
def conjugate(self):
    """PyTorch's `conj`."""
    return flow.stack([self[..., 0], -self[..., 1]], dim=-1)


@helper
def complex_product(x, y):
    """The products of complex numbers."""
    a, b, c, d = x[..., 0], x[..., 1], y[..., 0], y[..., 1]
    return flow.stack([a * c - b * d, a * d + b * c], dim=-1)


@helper
def complex_multiple(x, real, imag):
    """Complex numbers times one number."""
    a, b = x[..., 0], x[..., 1]
    return flow.stack([a * real - b * imag, a * imag + b * real], dim=-1)


@operator("complex.reciprocal")
@helper
def complex_reciprocal(self):
    """`1 / x` of complex numbers."""
    size = flow.maximum(self[..., 0].abs(), self[..., 1].abs()).detach()
    a, b = self[..., 0] / size, self[..., 1] / size
    square = (a**2 + b**2) * size
    return flow.stack([a / square, -b / square], dim=-1)


@operator("complex.mul", "complex.multiply")
def mul_of_pairs(self, other):
    return complex_multiple(self, *parts(other)) if _is_number(other) else complex_product(self, other)


@operator("complex.div", "complex.divide", "complex.true_divide")
def div_of_pairs(self, other):
    if _is_number(other):
        return complex_multiple(self, *parts(1 / other))
    return complex_product(self, complex_reciprocal(other))


@operator("complex.add", "complex.sub")
def add_number(self, other, alpha=1, *, name):
    if not _is_number(other):
        raise NotImplementedError("a sum with a complex `alpha`")
    number = flow.tensor(parts(other * alpha), dtype=self.dtype)
    return self + number if name == "add" else self - number


@operator("complex.rsub")
def rsub_number(self, other, alpha=1):
    return flow.tensor(parts(other), dtype=self.dtype) - (self if alpha == 1 else alpha * self)


@operator("complex.full", "complex.full.of_real")
def full_of_pairs(size, fill_value, dtype=None, *, out_dtype):
    return flow.tensor(parts(fill_value), dtype=out_dtype).expand(*size, 2)


@operator("complex.full_like", "complex.fill")
def full_like_of_pairs(self, fill_value=None, value=None, dtype=None):
    number = value if fill_value is None else fill_value
    return flow.tensor(parts(number), dtype=self.dtype).expand(*self.shape)


@operator("complex.randn.of_real", "complex.rand.of_real")
def random_numbers(size, dtype=None, *, name, out_dtype):
    if name == "rand":
        return flow.rand(*size, 2, dtype=out_dtype)
    return flow.randn(*size, 2, dtype=out_dtype) * 0.5**0.5


@operator("complex.masked_fill")
def masked_fill_of_pairs(self, mask, value):
    return flow.where(mask, flow.tensor(parts(value), dtype=self.dtype), self)


@operator("complex.sgn")
@helper
def unit_numbers(self):
    """PyTorch's `sgn`: complex numbers of the same angle and of size 1, and 0 for 0."""
    size = complex_abs(self).unsqueeze(-1)
    return self / flow.where(size == 0, flow.ones_like(size), size)


# Functions.


@operator("complex.exp")
@helper
def complex_exp(self):
    """`exp` of complex numbers."""
    return polar(flow.exp(self[..., 0]), self[..., 1])


@operator("complex.log")
@helper
def complex_log(self):
    """`log` of complex numbers."""
    return flow.stack([flow.log(complex_abs(self)), complex_angle(self)], dim=-1)


@operator("complex.log2", "complex.log10")
def log_to_base(self, *, name):
    return complex_log(self) / math.log(int(name.removeprefix("log")))


@operator("complex.log1p", "complex.expm1")
def beside_one(self, *, name):
    one = flow.tensor([1.0, 0.0], dtype=self.dtype)
    return complex_log(self + one) if name == "log1p" else complex_exp(self) - one


@operator("complex.sqrt")
@helper
def complex_sqrt(self):
    """`sqrt` of complex numbers: of the two roots the one to the right."""
    return polar(flow.sqrt(complex_abs(self)), complex_angle(self) / 2)


@operator("complex.square")
def square_of_pairs(self):
    return complex_product(self, self)


@operator("complex.pow")
def power(self, exponent):
    if isinstance(exponent, int | float) and exponent == int(exponent) and 0 < abs(exponent) <= 8:
        made = self
        for _ in range(int(abs(exponent)) - 1):
            made = complex_product(made, self)
        return made if exponent > 0 else complex_reciprocal(made)
    if _is_number(self) or not _is_number(exponent):
        raise NotImplementedError("a complex number to the power of a tensor")
    return complex_exp(complex_multiple(complex_log(self), *parts(exponent)))


@operator("complex.sin", "complex.cos", "complex.sinh", "complex.cosh")
@helper
def complex_wave(self, *, name):
    """`sin`, `cos`, `sinh` or `cosh` of complex numbers, by sums of exponentials."""
    a, b = (self[..., 0], self[..., 1]) if name.endswith("h") else (-self[..., 1], self[..., 0])
    # sin(z) = -i sinh(i z), and cos(z) = cosh(i z).
    wide, narrow = (flow.exp(a) + flow.exp(-a)) / 2, flow.sinh(a)
    if name == "sinh":
        return flow.stack([narrow * flow.cos(b), wide * flow.sin(b)], dim=-1)
    if name == "sin":
        return flow.stack([wide * flow.sin(b), -narrow * flow.cos(b)], dim=-1)
    return flow.stack([wide * flow.cos(b), narrow * flow.sin(b)], dim=-1)


@operator("complex.tan")
def tan(self):
    return complex_product(complex_wave(self, name="sin"), complex_reciprocal(complex_wave(self, name="cos")))


@operator("complex.tanh")
@helper
def complex_tanh(self):
    """`tanh` of complex numbers."""
    a, b = flow.tanh(self[..., 0]), self[..., 1]
    square = 1 - a * a  # that of 1 / cosh
    bottom = a * a + flow.cos(b) ** 2 * square
    return flow.stack([a / bottom, flow.sin(b) * flow.cos(b) * square / bottom], dim=-1)


@operator("complex.sigmoid")
def sigmoid(self):
    return complex_reciprocal(complex_exp(-self) + flow.tensor([1.0, 0.0], dtype=self.dtype))


# Sums of products.


@operator("complex.prod")
@helper
def complex_prod(self, dim, keepdim=False):
    """The product of complex numbers along a dimension."""
    found = self.narrow(dim, 0, 1)
    for place in range(1, self.shape[dim]):
        found = complex_product(found, self.narrow(dim, place, 1))
    return found if keepdim else found.squeeze(dim)


@operator("complex.cumprod")
@helper
def complex_cumprod(self, dim):
    """PyTorch's `cumprod` of complex numbers, in steps that double what each number is the product of."""
    size, step = self.shape[dim], 1
    while step < size:
        later = complex_product(self.narrow(dim, step, size - step), self.narrow(dim, 0, size - step))
        self = flow.cat([self.narrow(dim, 0, step), later], dim=dim)
        step *= 2
    return self


@operator("complex.addcmul", "complex.addcdiv")
def add_product(self, tensor1, tensor2, value=1, *, name):
    made = complex_product(tensor1, tensor2 if name == "addcmul" else complex_reciprocal(tensor2))
    return self + (made if value == 1 else complex_multiple(made, *parts(value)))


@helper
def complex_matmul(x, y):
    """Products of complex matrices."""
    a, b, c, d = x[..., 0], x[..., 1], y[..., 0], y[..., 1]
    return flow.stack([real_matmul(a, c) - real_matmul(b, d), real_matmul(a, d) + real_matmul(b, c)], dim=-1)


def real_matmul(x, y):
    """`matmul` of all ranks: OneFlow 0.9.0 aborts in the gradient of matrices times one vector."""
    rows, columns = x.ndim == 1, y.ndim == 1
    x, y = x.unsqueeze(0) if rows else x, y.unsqueeze(-1) if columns else y
    is_empty = 0 in (*x.shape, *y.shape)
    made = (x.unsqueeze(-1) * y.unsqueeze(-3)).sum(dim=-2) if is_empty else flow.matmul(x, y)
    made = made.squeeze(-1) if columns else made
    return made.squeeze(-1 if columns else -2) if rows else made


@operator("complex.matmul", "complex.linalg_matmul", "complex.mm", "complex.bmm", "complex.mv", "complex.dot")
def matmul_of_pairs(self, other=None, vec=None, mat2=None, tensor=None):
    return complex_matmul(self, next(each for each in (other, vec, mat2, tensor) if each is not None))


@operator("complex.vdot")
def vdot(self, other):
    return complex_product(conjugate(self), other).sum(dim=0)


@operator("complex.addmm", "complex.baddbmm", "complex.addbmm")
def addmm_of_pairs(self, mat1=None, mat2=None, batch1=None, batch2=None, beta=1, alpha=1, *, name):
    made = complex_matmul(*(each for each in (mat1, mat2, batch1, batch2) if each is not None))
    made = made.sum(dim=0) if name == "addbmm" else made
    made = made if alpha == 1 else complex_multiple(made, *parts(alpha))
    if beta == 0:
        return made
    return made + (self if beta == 1 else complex_multiple(self, *parts(beta)))


@operator("complex.linear")
def linear_of_pairs(input, weight, bias=None):
    made = complex_matmul(input, weight.transpose(0, 1))
    return made if bias is None else made + bias


@operator(
    "complex.conv1d", "complex.conv2d", "complex.conv3d", "complex.conv_transpose1d", "complex.conv_transpose2d",
    "complex.conv_transpose3d",
)  # fmt: skip
def convolution_of_pairs(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, name
):
    if isinstance(padding, str):
        raise NotImplementedError(f"padding={padding!r} of complex numbers")
    options = {"stride": stride, "padding": padding, "groups": groups, "dilation": dilation}
    if "transpose" in name:
        options["output_padding"] = output_padding
    unbatched = input.ndim == weight.ndim - 1
    made = complex_convolution(input.unsqueeze(0) if unbatched else input, weight, name, **options)
    made = made.squeeze(0) if unbatched else made
    return made if bias is None else made + bias.reshape(-1, *[1] * (weight.ndim - 3), 2)


@helper
def complex_convolution(x, weight, name, **options):
    """A convolution of complex numbers, by four of their parts."""
    convolve = getattr(F, name)
    a, b, c, d = x[..., 0], x[..., 1], weight[..., 0], weight[..., 1]
    real = convolve(a, c, **options) - convolve(b, d, **options)
    return flow.stack([real, convolve(a, d, **options) + convolve(b, c, **options)], dim=-1)


@operator("complex.outer", "complex.ger")
def outer_of_pairs(self, vec2):
    return complex_product(self.unsqueeze(1), vec2)


@operator("complex.einsum")
def einsum_of_pairs(equation, tensors, path=None):
    return complex_einsum(equation, tensors)


@helper
def complex_einsum(equation, tensors):
    """PyTorch's `einsum` of complex tensors: what a product of the parts of each adds to, as powers of i."""
    sums = [None, None]
    for choice in range(2 ** len(tensors)):
        which = [choice >> place & 1 for place in range(len(tensors))]
        made = flow.einsum(equation, *[x[..., part] for x, part in zip(tensors, which, strict=True)])
        part, turns = sum(which) % 2, sum(which) // 2
        made = -made if turns % 2 else made
        sums[part] = made if sums[part] is None else sums[part] + made
    return flow.stack(sums, dim=-1)
