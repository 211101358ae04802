"""Comparisons, logic, bits, and choices between two values."""

from torch2flow.models.lowering.lazy import flow, helper, is_float
from torch2flow.models.lowering.registry import operator


@operator("aten.eq", promotes=("self", "other"))
def eq(self, other):
    return self == other


@operator("aten.ne", "aten.not_equal", promotes=("self", "other"))
def ne(self, other):
    return self != other


@operator("aten.lt", "aten.less", promotes=("self", "other"))
def lt(self, other):
    return self < other


@operator("aten.le", "aten.less_equal", promotes=("self", "other"))
def le(self, other):
    return self <= other


@operator("aten.gt", "aten.greater", promotes=("self", "other"))
def gt(self, other):
    return self > other


@operator("aten.ge", "aten.greater_equal", promotes=("self", "other"))
def ge(self, other):
    return self >= other


@operator("aten.isclose", promotes=("self", "other"))
def isclose(self, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    return flow.isclose(self, other, atol=atol, rtol=rtol, equal_nan=equal_nan)


@operator("aten.logical_and", "aten.logical_or", "aten.logical_xor", promotes=("self", "other"))
def logical(self, other, *, name):
    return getattr(flow, name)(self, other)


@operator("aten.logical_not")
def logical_not(self):
    return flow.logical_not(self)


@operator("aten.bitwise_not")
def bitwise_not(self):
    if self.dtype == flow.bool:
        return flow.logical_not(self)
    if self.dtype == flow.uint8:
        return 255 - self
    return -1 - self


@operator(
    "aten.bitwise_and", "aten.__and__", "aten.bitwise_or", "aten.__or__", "aten.bitwise_xor", "aten.__xor__",
    promotes=("self", "other"),
)  # fmt: skip
def bitwise(self, other, *, out_dtype, name):
    kind = name.strip("_").removeprefix("bitwise_")
    if not isinstance(self, flow.Tensor):
        self, other = other, self
    if out_dtype == flow.bool:
        return getattr(flow, f"logical_{kind}")(self, other)
    both = and_of_bits(self, other)
    return {"and": both, "or": self + other - both, "xor": self + other - 2 * both}[kind]


@helper
def and_of_bits(x, y):
    """`x & y` of integers, bit by bit: OneFlow 0.9.0's `&` gives a bool for any integers."""
    dtype = x.dtype
    x, y = flow.broadcast_tensors(x, y if isinstance(y, flow.Tensor) else flow.full_like(x, y))
    x, y = x.to(flow.int64), y.to(flow.int64)
    result = flow.zeros_like(x)
    for bit in range(63):
        x_bit, y_bit = flow.abs(flow.fmod(x, 2)), flow.abs(flow.fmod(y, 2))
        result = result + x_bit * y_bit * 2**bit
        # The rest of a negative number is halved downwards, as its two's complement is.
        x, y = flow.floor_divide(x - x_bit, 2), flow.floor_divide(y - y_bit, 2)
    return (result + x * y * -(2**63)).to(dtype)


@operator("aten.bitwise_left_shift", "aten.__lshift__", promotes=("self", "other"))
def left_shift(self, other):
    return self * flow.pow(2, other)


@operator("aten.bitwise_left_shift.Tensor_Scalar", "aten.__lshift__.Scalar")
def left_shift_by_number(self, other):
    if other not in range(64):
        raise NotImplementedError(f"a shift by {other} bits")
    return self * 2**other


@operator("aten.bitwise_right_shift.Tensor_Scalar", "aten.__rshift__.Scalar")
def right_shift_by_number(self, other, *, out_dtype):
    if other not in range(64):
        raise NotImplementedError(f"a shift by {other} bits")
    return flow.floor(self.to(flow.float64) / 2**other).to(out_dtype)


@operator("aten.bitwise_right_shift", "aten.__rshift__", promotes=("self", "other"))
def right_shift(self, other, *, out_dtype):
    return flow.floor(self.to(flow.float64) / flow.pow(2.0, other.to(flow.float64))).to(out_dtype)


@operator("aten.where.self", promotes=("self", "other"))
def where(condition, self, other, *, out_shape, out_dtype):
    # OneFlow 0.9.0 aborts when it broadcasts a tensor without elements.
    if 0 in out_shape:
        return flow.zeros(out_shape, dtype=out_dtype, device=condition.device)
    if out_dtype == flow.uint8:  # which OneFlow has no kernel for
        return flow.where(condition, self.to(flow.int32), other.to(flow.int32)).to(flow.uint8)
    return flow.where(condition, self, other)


@operator("aten.where.ScalarOther", "aten.where.ScalarSelf", "aten.where.Scalar", promotes=("self", "other"))
def where_scalar(condition, self, other, *, out_dtype):
    # OneFlow gives float64 for a float beside a float32 tensor.
    if is_float(out_dtype):
        self, other = (each if isinstance(each, flow.Tensor) else float(each) for each in (self, other))
    elif out_dtype not in (flow.bool, flow.int64):
        # To OneFlow a Python int is an int64, which goes beside no other tensor of integers.
        self, other = (each.to(flow.int64) if isinstance(each, flow.Tensor) else each for each in (self, other))
    return flow.where(condition, self, other).to(out_dtype)


@operator("aten.masked_fill")
def masked_fill(self, mask, value):
    if self.dtype == flow.uint8:
        return self.to(flow.int32).masked_fill(mask, value).to(flow.uint8)
    return self.masked_fill(mask, value)


@operator("aten.masked_fill.Tensor")
def masked_fill_by_tensor(self, mask, value):
    return where(mask, value.to(self.dtype), self, out_shape=(), out_dtype=self.dtype)


@operator("aten.where.default")
def where_indices(condition):
    return flow.nonzero(condition, as_tuple=True)


@operator("aten.nonzero")
def nonzero(self):
    return flow.nonzero(self)


@operator("aten.all", "aten.any")
def all_or_any(self, *, name, out_dtype):
    found = getattr(self if self.dtype == flow.bool else self != 0, name)()
    return found if out_dtype == flow.bool else found.to(out_dtype)  # of uint8 it is uint8


@operator("aten.all.dim", "aten.all.dims", "aten.any.dim", "aten.any.dims")
def all_or_any_along(self, dim=None, keepdim=False, *, name, out_dtype):
    found = self != 0
    if self.ndim > 0:
        found = getattr(found, name)(dim=tuple(range(self.ndim)) if dim is None else dim, keepdim=keepdim)
    return found if out_dtype == flow.bool else found.to(out_dtype)


@operator("aten.isin.Tensor_Tensor", "aten.isin.Tensor_Scalar")
def isin(elements, test_elements=None, test_element=None, assume_unique=False, invert=False):
    if test_elements is None:
        return elements != test_element if invert else elements == test_element
    found = (elements.unsqueeze(-1) == test_elements.flatten()).any(dim=-1)
    return flow.logical_not(found) if invert else found
