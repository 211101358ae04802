"""Comparisons, logic, bits, and choices between two values."""

from __future__ import annotations

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


@operator("aten.logical_and", promotes=("self", "other"))
def logical_and(self, other):
    return flow.logical_and(self, other)


@operator("aten.logical_or", promotes=("self", "other"))
def logical_or(self, other):
    return flow.logical_or(self, other)


@operator("aten.logical_xor", promotes=("self", "other"))
def logical_xor(self, other):
    return flow.logical_xor(self, other)


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


@operator("aten.bitwise_and", "aten.__and__", promotes=("self", "other"))
def bitwise_and(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_and(self, other)
    return and_of_bits(self, other)


@operator("aten.bitwise_or", "aten.__or__", promotes=("self", "other"))
def bitwise_or(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_or(self, other)
    return self + other - and_of_bits(self, other)


@operator("aten.bitwise_xor", "aten.__xor__", promotes=("self", "other"))
def bitwise_xor(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_xor(self, other)
    return self + other - 2 * and_of_bits(self, other)


@operator("aten.bitwise_and.Scalar_Tensor", promotes=("self", "other"))
def bitwise_and_of_scalar(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_and(other, self)
    return and_of_bits(other, self)


@operator("aten.bitwise_or.Scalar_Tensor", promotes=("self", "other"))
def bitwise_or_of_scalar(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_or(other, self)
    return self + other - and_of_bits(other, self)


@operator("aten.bitwise_xor.Scalar_Tensor", promotes=("self", "other"))
def bitwise_xor_of_scalar(self, other, *, out_dtype):
    if out_dtype == flow.bool:
        return flow.logical_xor(other, self)
    return self + other - 2 * and_of_bits(other, self)


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
    return self * 2**other


@operator("aten.bitwise_right_shift.Tensor_Scalar", "aten.__rshift__.Scalar")
def right_shift_by_number(self, other, *, out_dtype):
    return flow.floor(self.to(flow.float64) / 2**other).to(out_dtype)


@operator("aten.bitwise_right_shift", "aten.__rshift__", promotes=("self", "other"))
def right_shift(self, other, *, out_dtype):
    return flow.floor(self.to(flow.float64) / flow.pow(2.0, other.to(flow.float64))).to(out_dtype)


@operator("aten.where.self", promotes=("self", "other"))
def where(condition, self, other, *, out_shape, out_dtype):
    # OneFlow 0.9.0 aborts when it broadcasts a tensor without elements.
    if 0 in out_shape:
        return flow.zeros(tuple(out_shape), dtype=out_dtype, device=condition.device)
    return flow.where(condition, self, other)


@operator("aten.where.ScalarOther", promotes=("self", "other"))
def where_scalar_other(condition, self, other, *, out_dtype):
    # OneFlow gives float64 for a float beside a float32 tensor.
    if is_float(out_dtype):
        return flow.where(condition, self, float(other)).to(out_dtype)
    return flow.where(condition, self, other).to(out_dtype)


@operator("aten.where.ScalarSelf", promotes=("self", "other"))
def where_scalar_self(condition, self, other, *, out_dtype):
    if is_float(out_dtype):
        return flow.where(condition, float(self), other).to(out_dtype)
    return flow.where(condition, self, other).to(out_dtype)


@operator("aten.where.Scalar")
def where_scalars(condition, self, other, *, out_dtype):
    return flow.where(condition, self, other).to(out_dtype)


@operator("aten.masked_fill")
def masked_fill(self, mask, value):
    return self.masked_fill(mask, value)


@operator("aten.masked_fill.Tensor")
def masked_fill_by_tensor(self, mask, value):
    return flow.where(mask, value.to(self.dtype), self)


@operator("aten.where.default")
def where_indices(condition):
    return tuple(flow.nonzero(condition, as_tuple=True))


@operator("aten.nonzero")
def nonzero(self):
    return flow.nonzero(self)


@operator("aten.all")
def all_(self):
    if self.dtype == flow.bool:
        return self.all()
    return (self != 0).all()


@operator("aten.any")
def any_(self):
    if self.dtype == flow.bool:
        return self.any()
    return (self != 0).any()


@operator("aten.all.dim", "aten.all.dims")
def all_dim(self, dim=None, keepdim=False):
    if self.ndim == 0:
        return self != 0
    return (self != 0).all(dim=tuple(range(self.ndim)) if dim is None else dim, keepdim=keepdim)


@operator("aten.any.dim", "aten.any.dims")
def any_dim(self, dim=None, keepdim=False):
    if self.ndim == 0:
        return self != 0
    return (self != 0).any(dim=tuple(range(self.ndim)) if dim is None else dim, keepdim=keepdim)


@operator("aten.isin.Tensor_Tensor")
def isin(elements, test_elements, assume_unique=False, invert=False):
    if invert:
        return flow.logical_not((elements.unsqueeze(-1) == test_elements.flatten()).any(dim=-1))
    return (elements.unsqueeze(-1) == test_elements.flatten()).any(dim=-1)


@operator("aten.isin.Tensor_Scalar")
def isin_scalar(elements, test_element, assume_unique=False, invert=False):
    if invert:
        return elements != test_element
    return elements == test_element
