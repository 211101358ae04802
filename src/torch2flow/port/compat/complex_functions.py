"""What PyTorch's functions and methods do with complex tensors, by the arithmetic of the converter's rules."""

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.models.lowering.operators.complex_numbers import (
    complex_abs,
    complex_angle,
    complex_einsum,
    complex_exp,
    complex_log,
    complex_matmul,
    complex_multiple,
    complex_product,
    complex_reciprocal,
    complex_sqrt,
    conjugate,
    unit_numbers,
)
from torch2flow.port.compat.common import sized
from torch2flow.port.compat.complex_tensors import Complex, ComplexDtype, complex_tensor, take_complex_numbers


def as_complex(pair):
    """Pairs as a complex tensor; the first one makes OneFlow ready for them."""
    take_complex_numbers(FUNCTIONS, globals())
    return complex_tensor(pair)


def is_complex_dtype(dtype):
    return isinstance(dtype, type) and issubclass(dtype, ComplexDtype)


def common_parts(*operands):
    """The dtype of the parts of what complex and real operands make."""
    tensors = [each.pair if isinstance(each, Complex) else each for each in operands if isinstance(each, flow.Tensor)]
    ranks = [each.ndim - isinstance(given, Complex) for each, given in zip(tensors, [
        each for each in operands if isinstance(each, flow.Tensor)], strict=True)]  # fmt: skip
    counted = [each for each, rank in zip(tensors, ranks, strict=True) if rank or not any(ranks)]
    return flow.float64 if any(each.dtype == flow.float64 for each in counted) else flow.float32


def pair_of(x, dtype, device=None):
    """A complex or real tensor, or a number, as pairs."""
    if isinstance(x, Complex):
        return x.pair.to(dtype)
    if isinstance(x, flow.Tensor):
        return flow.stack([x.to(dtype), flow.zeros_like(x, dtype=dtype)], dim=-1)
    return flow.tensor([complex(x).real, complex(x).imag], dtype=dtype, device=device)


def pairs_of(*operands):
    """Operands as pairs of one dtype."""
    dtype = common_parts(*operands)
    device = next(each.device for each in operands if isinstance(each, flow.Tensor))
    return [pair_of(each, dtype, device) for each in operands]


def is_real(x):
    return not isinstance(x, Complex | complex)


def stored(x, out):
    """A result, or the complex tensor of the caller's that it goes into."""
    if out is None:
        return x
    out.pair[...] = x.pair
    return out


# Arithmetic.


def add(input, other, *, alpha=1, out=None):
    other = other if alpha == 1 else mul(other, alpha) if isinstance(other, Complex) else other * alpha
    left, right = pairs_of(input, other)
    return stored(as_complex(left + right), out)


def sub(input, other, *, alpha=1, out=None):
    other = other if alpha == 1 else mul(other, alpha) if isinstance(other, Complex) else other * alpha
    left, right = pairs_of(input, other)
    return stored(as_complex(left - right), out)


def mul(input, other, *, out=None):
    if isinstance(other, Complex) and not isinstance(input, Complex):
        input, other = other, input
    if isinstance(input, Complex) and is_real(other):
        pair = input.pair.to(common_parts(input, other))
        made = pair * (other.to(pair.dtype).unsqueeze(-1) if isinstance(other, flow.Tensor) else other)
    elif isinstance(input, Complex) and isinstance(other, complex):
        made = complex_multiple(input.pair, other.real, other.imag)
    else:
        made = complex_product(*pairs_of(input, other))
    return stored(as_complex(made), out)


def div(input, other, *, rounding_mode=None, out=None):
    if rounding_mode is not None:
        raise NotImplementedError("complex numbers are not rounded")
    if isinstance(input, Complex) and is_real(other):
        pair = input.pair.to(common_parts(input, other))
        made = pair / (other.to(pair.dtype).unsqueeze(-1) if isinstance(other, flow.Tensor) else other)
    else:
        left, right = pairs_of(input, other)
        made = complex_product(left, complex_reciprocal(right))
    return stored(as_complex(made), out)


def pow(input, exponent):
    if not isinstance(input, Complex) or not isinstance(exponent, int | float | complex):
        raise NotImplementedError("a number to a complex power")
    if exponent == 2:
        return mul(input, input)
    if exponent == 1:
        return input
    power = complex(exponent)
    return as_complex(complex_exp(complex_multiple(complex_log(input.pair), power.real, power.imag)))


def matmul(input, other, *, out=None, transpose_a=False, transpose_b=False):
    """The product of matrices; OneFlow's own modules say which of them are turned."""
    input, other = turned(input) if transpose_a else input, turned(other) if transpose_b else other
    return stored(as_complex(complex_matmul(*pairs_of(input, other))), out)


def vdot(input, other):
    return sum_of(mul(conj(input), other))


def outer(input, vec2):
    return mul(input.unsqueeze(1), vec2)


def einsum(equation, *operands):
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    return as_complex(complex_einsum(equation, pairs_of(*given)))


def linear(input, weight, bias=None):
    made = matmul(input, weight.transpose(0, 1))
    return made if bias is None else add(made, bias)


def reversed_operator(function):
    return lambda self, other: function(other, self)


def in_place(function):
    """The method that writes what a function gives into its tensor."""

    def call(self, *args, **named):
        made = function(self, *args, **named)
        if self.pair.is_leaf or not made.pair.requires_grad:
            self.pair[...] = made.pair
        else:
            self.pair = made.pair
        return self

    return call


def on_parts(name):
    """A method that writes into the real and the imaginary parts alike."""

    def call(self, *args, **named):
        getattr(self.pair, name)(*args, **named)
        return self

    return call


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    self.pair.normal_(0.0, std * 0.5**0.5)
    self.pair[..., 0] += mean
    return self


def fill_(self, value):
    self[...] = value
    return self


def equal(input, other):
    left, right = pairs_of(input, other)
    return (left == right).all(dim=-1)


# Parts, and functions of each element.


def conj(input):
    return as_complex(conjugate(input.pair))


def of_each(function):
    """A function of pairs as one of complex tensors."""
    return lambda input: as_complex(function(input.pair))


def absolute(input, *, out=None):
    return complex_abs(input.pair)


def angle(input, *, out=None):
    return complex_angle(input.pair)


def of_both(function):
    """A question that is yes of a complex number if it is of one of its parts."""
    return lambda input: getattr(flow, function)(input.pair).any(dim=-1)


def isfinite(input):
    return flow.logical_not(flow.logical_or(flow.isnan(input.pair), flow.isinf(input.pair)).any(dim=-1))


def norm(input, *args, **named):
    return flow.norm(complex_abs(input.pair), *args, **named)


def vector_norm(input, *args, **named):
    return flow.linalg.vector_norm(complex_abs(input.pair), *args, **named)


# What moves elements.


def front(x, dim, more=0):
    """Dimensions counted from the front."""
    return [front(x, each, more) for each in dim] if isinstance(dim, list | tuple) else dim % (x.ndim + more)


def reshape(input, *shape):
    return as_complex(input.pair.reshape(*sized(shape), 2))


def flatten(input, start_dim=0, end_dim=-1):
    return as_complex(input.pair.flatten(front(input, start_dim), front(input, end_dim)))


def unflatten(input, dim, sizes):
    dim = front(input, dim)
    return reshape(input, *input.shape[:dim], *sizes, *input.shape[dim + 1 :])


def expand(input, *sizes):
    return as_complex(input.pair.expand(*sized(sizes), 2))


def expand_as(input, other):
    return expand(input, *other.shape)


def repeat(input, *sizes):
    return as_complex(input.pair.repeat(*sized(sizes), 1))


def unsqueeze(input, dim):
    return as_complex(input.pair.unsqueeze(front(input, dim, 1)))


def squeeze(input, dim=None):
    ones = [each for each, size in enumerate(input.shape) if size == 1]
    dims = ones if dim is None else [front(input, dim)]
    return reshape(input, *(size for each, size in enumerate(input.shape) if each not in dims or size != 1))


def transpose(input, dim0, dim1):
    return as_complex(input.pair.transpose(front(input, dim0), front(input, dim1)))


def permute(input, *dims):
    return as_complex(input.pair.permute(*front(input, list(sized(dims))), input.ndim))


def turned(input):
    return input if input.ndim < 2 else transpose(input, -2, -1)


def movedim(input, source, destination):
    return as_complex(flow.movedim(input.pair, front(input, source), front(input, destination)))


def flip(input, *dims):
    return as_complex(flow.flip(input.pair, front(input, list(sized(dims)))))


def roll(input, shifts, dims=None):
    if dims is None:
        return reshape(roll(reshape(input, -1), shifts, 0), *input.shape)
    return as_complex(flow.roll(input.pair, shifts, front(input, dims)))


def chunk(input, chunks, dim=0):
    return tuple(as_complex(each) for each in flow.chunk(input.pair, chunks, front(input, dim)))


def split(tensor, split_size_or_sections, dim=0):
    return tuple(as_complex(each) for each in flow.split(tensor.pair, split_size_or_sections, front(tensor, dim)))


def unbind(input, dim=0):
    return tuple(as_complex(input.pair.select(front(input, dim), place)) for place in range(input.shape[dim]))


def narrow(input, dim, start, length):
    return as_complex(flow.narrow(input.pair, front(input, dim), start, length))


def select(input, dim, index):
    return as_complex(input.pair.select(front(input, dim), index))


def index_select(input, dim, index):
    return as_complex(flow.index_select(input.pair, front(input, dim), index))


def cat(tensors, dim=0, *, out=None):
    return stored(as_complex(flow.cat(pairs_of(*tensors), dim=front(tensors[0], dim))), out)


def stack(tensors, dim=0, *, out=None):
    return stored(as_complex(flow.stack(pairs_of(*tensors), dim=front(tensors[0], dim, 1))), out)


def where(condition, input, other):
    left, right = flow.broadcast_tensors(*pairs_of(input, other))
    return as_complex(flow.where(condition.unsqueeze(-1), left, right))


def masked_fill(input, mask, value):
    return where(mask, value, input)


def pad(input, pad, mode="constant", value=0):
    if mode != "constant" or value:
        raise NotImplementedError(f"padding of complex tensors with mode={mode!r} and value={value}")
    return as_complex(F.pad(input.pair, (0, 0, *pad)))


def sum_of(input, dim=None, keepdim=False):
    dims = list(range(input.ndim)) if dim is None else front(input, dim)
    return as_complex(input.pair.sum(dim=dims, keepdim=keepdim)) if input.ndim else input


def mean(input, dim=None, keepdim=False):
    dims = list(range(input.ndim)) if dim is None else front(input, dim)
    return as_complex(input.pair.mean(dim=dims, keepdim=keepdim)) if input.ndim else input


def cumsum(input, dim):
    return as_complex(flow.cumsum(input.pair, front(input, dim)))


def same_on_pairs(name):
    """A method of the pairs that keeps them pairs."""
    return lambda input, *args, **named: as_complex(getattr(input.pair, name)(*args, **named))


def itself(input, *args, **named):
    return input


def to(input, *args, **named):
    """`to` of complex tensors, and to complex of real ones."""
    dtypes = [each for each in (*args, *named.values()) if is_complex_dtype(each) or isinstance(each, flow.dtype)]
    dtypes += [each.dtype for each in args if isinstance(each, flow.Tensor)]
    places = [each for each in (*args, *named.values()) if isinstance(each, str | flow.device)]
    places += [each.device for each in args if isinstance(each, flow.Tensor)]
    if dtypes and not is_complex_dtype(dtypes[0]):
        raise NotImplementedError(f"a complex tensor as {dtypes[0]} loses its imaginary part: write `.real` for that")
    pair = pair_of(input, getattr(flow, dtypes[0].real) if dtypes else input.pair.dtype)
    return as_complex(pair.to(places[0]) if places else pair)


def type_as(input, other):
    return to(input, other.dtype)


# New tensors.


def created(name, of_parts=1.0):
    """`zeros`, `randn` and such with a complex dtype."""

    def create(*size, dtype=None, device=None, requires_grad=False, **named):
        named = {key: value for key, value in named.items() if key in ("generator",)}
        shape = (*sized(size), 2)
        pair = getattr(flow, name)(*shape, dtype=getattr(flow, dtype.real), device=device, **named) * of_parts
        return as_complex(pair.requires_grad_(requires_grad))

    return create


def created_like(name, of_parts=1.0):
    create = created(name, of_parts)

    def like(input, *, dtype=None, device=None, requires_grad=False, **named):
        dtype, device = dtype or input.dtype, device or input.device
        return create(*input.shape, dtype=dtype, device=device, requires_grad=requires_grad)

    return like


def full(size, fill_value, *, dtype=None, device=None, **named):
    parts = flow.float64 if dtype is not None and dtype.real == "float64" else flow.float32
    return as_complex(pair_of(fill_value, parts, device).expand(*sized((size,)), 2).clone())


def ones(*size, dtype=None, device=None, **named):
    return full(sized(size), 1, dtype=dtype, device=device)


def ones_like(input, *, dtype=None, device=None, **named):
    return full(tuple(input.shape), 1, dtype=dtype or input.dtype, device=device or input.device)


def new_zeros(input, *size, dtype=None, device=None, **named):
    dtype, device = dtype or input.dtype, device or input.device
    if not is_complex_dtype(dtype):
        return flow.zeros(*sized(size), dtype=dtype, device=device)
    return created("zeros")(*size, dtype=dtype, device=device)


def tensor(data, *, dtype=None, device=None, requires_grad=False, **named):
    import numpy as np

    numbers = np.asarray(data, "complex128")
    parts = flow.float64 if dtype is not None and dtype.real == "float64" else flow.float32
    pair = flow.tensor(np.stack([numbers.real, numbers.imag], -1), dtype=parts, device=device)
    return as_complex(pair.requires_grad_(requires_grad))


FUNCTIONS = {
    "abs": absolute, "absolute": absolute, "add": add, "add_": in_place(add), "angle": angle, "bmm": matmul,
    "cat": cat, "concat": cat, "chunk": chunk, "clone": same_on_pairs("clone"), "conj_physical": conj,
    "copy_": fill_, "fill_": fill_, "normal_": normal_, "uniform_": on_parts("uniform_"), "zero_": on_parts("zero_"),
    "contiguous": same_on_pairs("contiguous"), "cpu": same_on_pairs("cpu"), "cuda": same_on_pairs("cuda"),
    "cumsum": cumsum, "detach": same_on_pairs("detach"), "div": div, "div_": in_place(div), "dot": matmul,
    "einsum": einsum, "empty": created("zeros"), "empty_like": created_like("zeros"), "eq": equal,
    "exp": of_each(complex_exp), "expand": expand, "expand_as": expand_as, "flatten": flatten, "flip": flip,
    "full": full,
    "fused_matmul_bias": linear, "index_select": index_select, "isfinite": isfinite, "isinf": of_both("isinf"),
    "isnan": of_both("isnan"), "linear": linear, "log": of_each(complex_log), "masked_fill": masked_fill,
    "matmul": matmul, "mean": mean, "mm": matmul, "movedim": movedim, "mul": mul, "mul_": in_place(mul),
    "multiply": mul, "mv": matmul, "narrow": narrow, "neg": same_on_pairs("__neg__"), "new_zeros": new_zeros,
    "norm": norm, "ones": ones, "ones_like": ones_like, "outer": outer, "pad": pad, "permute": permute, "pow": pow,
    "rand": created("rand"), "rand_like": created_like("rand"), "randn": created("randn", 0.5**0.5),
    "randn_like": created_like("randn", 0.5**0.5), "reciprocal": of_each(complex_reciprocal), "repeat": repeat,
    "reshape": reshape, "conj": conj, "resolve_conj": itself, "resolve_neg": itself, "roll": roll, "select": select,
    "sgn": of_each(unit_numbers), "split": split, "sqrt": of_each(complex_sqrt), "square": lambda x: mul(x, x),
    "squeeze": squeeze, "stack": stack, "sub": sub, "sub_": in_place(sub), "subtract": sub, "sum": sum_of,
    "swapaxes": transpose, "swapdims": transpose, "t": turned, "tensor": tensor, "to": to, "transpose": transpose,
    "true_divide": div, "type_as": type_as, "unbind": unbind, "unflatten": unflatten, "unsqueeze": unsqueeze,
    "vdot": vdot, "vector_norm": vector_norm, "view": reshape, "where": where, "zeros": created("zeros"),
    "zeros_like": created_like("zeros"),
    "T": property(turned), "mT": property(turned), "H": property(lambda x: conj(turned(x))),
    "mH": property(lambda x: conj(turned(x))), "__abs__": absolute, "__neg__": same_on_pairs("__neg__"),
    "__pos__": itself, "__add__": add, "__radd__": add, "__iadd__": in_place(add), "__sub__": sub,
    "__rsub__": reversed_operator(sub), "__isub__": in_place(sub), "__mul__": mul, "__rmul__": mul,
    "__imul__": in_place(mul), "__truediv__": div, "__rtruediv__": reversed_operator(div),
    "__itruediv__": in_place(div), "__pow__": pow, "__matmul__": matmul, "__rmatmul__": reversed_operator(matmul),
    "__eq__": equal, "__ne__": lambda x, other: flow.logical_not(equal(x, other)),
}  # fmt: skip
"""What there is for complex tensors, by the names of functions and methods."""
