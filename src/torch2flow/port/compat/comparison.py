"""Comparisons, logic, bits, and choices between two values."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.lowering.operators.comparison import and_of_bits
from torch2flow.port.compat.common import dtype_of, number, promoted
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.where", because="OneFlow's refuses two dtypes, and gives float64 for a number beside float32.")
def where(condition, input=None, other=None, *, x=None, y=None):
    input, other = (x if input is None else input), (y if other is None else other)
    if input is None:
        return tuple(each.to(flow.int64) for each in flow.nonzero(condition, as_tuple=True))
    dtype = dtype_of(input, other)
    input, other = (
        each.to(dtype)
        if isinstance(each, flow.Tensor)
        else flow.tensor(number(each), dtype=dtype, device=condition.device)
        for each in (input, other)
    )
    if 0 in (condition.numel(), input.numel(), other.numel()):
        # OneFlow ends the process when it broadcasts a tensor without elements.
        condition, input, other = flow.broadcast_tensors(condition, input, other)
        return input
    return flow.where(condition, input, other)


@stands_for("torch.Tensor.where", because="OneFlow's takes the tensor for the condition.")
def where_true(self, condition, other):
    return where(condition, self, other)


@stands_for("torch.less", "torch.Tensor.less", because="OneFlow has it as `lt` alone.")
def less(input, other):
    return input < other


@stands_for("torch.less_equal", "torch.Tensor.less_equal", because="OneFlow has it as `le` alone.")
def less_equal(input, other):
    return input <= other


@stands_for("torch.greater_equal", "torch.Tensor.greater_equal", because="OneFlow has it as `ge` alone.")
def greater_equal(input, other):
    return input >= other


@stands_for("torch.isposinf", "torch.Tensor.isposinf", because="OneFlow has no `isposinf`.")
def isposinf(input):
    return input == float("inf")


@stands_for("torch.isneginf", "torch.Tensor.isneginf", because="OneFlow has no `isneginf`.")
def isneginf(input):
    return input == float("-inf")


@stands_for("torch.isfinite", "torch.Tensor.isfinite", because="OneFlow has no method, and no kernel for bools.")
def isfinite(input):
    if not input.dtype.is_floating_point:
        return input == input
    return flow.logical_not(flow.logical_or(flow.isnan(input), flow.isinf(input)))


@stands_for("torch.isnan", "torch.Tensor.isnan", because="OneFlow's has no kernel for bools.")
def isnan(input):
    return flow.isnan(input) if input.dtype.is_floating_point else input != input


@stands_for("torch.isinf", "torch.Tensor.isinf", because="OneFlow's has no kernel for bools.")
def isinf(input):
    return flow.isinf(input) if input.dtype.is_floating_point else input != input


@stands_for("torch.isin", because="OneFlow has no `isin`.")
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    if not isinstance(test_elements, flow.Tensor):
        return elements != test_elements if invert else elements == test_elements
    found = (elements.unsqueeze(-1) == test_elements.reshape(-1)).any(dim=-1)
    return flow.logical_not(found) if invert else found


@stands_for(
    "torch.bitwise_not", "torch.Tensor.bitwise_not", "torch.Tensor.__invert__", because="OneFlow has it of bools alone."
)
def bitwise_not(input):
    if input.dtype == flow.bool:
        return flow.logical_not(input)
    return 255 - input if input.dtype == flow.uint8 else -1 - input


@stands_for(
    "torch.bitwise_and",
    "torch.Tensor.bitwise_and",
    "torch.Tensor.__and__",
    "torch.Tensor.__rand__",
    "torch.Tensor.__iand__",
    because="OneFlow's gives a bool for any integers.",
)
def bitwise_and(input, other):
    input, other = promoted(input, other)
    return flow.logical_and(input, other) if input.dtype == flow.bool else and_of_bits(input, other)


@stands_for(
    "torch.bitwise_or",
    "torch.Tensor.bitwise_or",
    "torch.Tensor.__or__",
    "torch.Tensor.__ror__",
    "torch.Tensor.__ior__",
    because="OneFlow's gives a bool for any integers.",
)
def bitwise_or(input, other):
    input, other = promoted(input, other)
    if input.dtype == flow.bool:
        return flow.logical_or(input, other)
    return input + other - and_of_bits(input, other)


@stands_for(
    "torch.bitwise_xor",
    "torch.Tensor.bitwise_xor",
    "torch.Tensor.__xor__",
    "torch.Tensor.__rxor__",
    "torch.Tensor.__ixor__",
    because="OneFlow's gives a bool for any integers.",
)
def bitwise_xor(input, other):
    input, other = promoted(input, other)
    if input.dtype == flow.bool:
        return flow.logical_xor(input, other)
    return input + other - 2 * and_of_bits(input, other)


@stands_for(
    "torch.bitwise_left_shift",
    "torch.Tensor.bitwise_left_shift",
    "torch.Tensor.__lshift__",
    because="OneFlow has no shifts.",
)
def left_shift(input, other):
    factor = flow.pow(2.0, other.to(flow.float64)).to(input.dtype) if isinstance(other, flow.Tensor) else 2**other
    return input * factor


@stands_for("torch.Tensor.__rlshift__", because="OneFlow has no shifts.")
def shift_of_number(self, other):
    return flow.pow(2.0, self.to(flow.float64)).to(self.dtype) * other


@stands_for(
    "torch.bitwise_right_shift",
    "torch.Tensor.bitwise_right_shift",
    "torch.Tensor.__rshift__",
    because="OneFlow has no shifts.",
)
def right_shift(input, other):
    factor = flow.pow(2.0, other.to(flow.float64)) if isinstance(other, flow.Tensor) else 2.0**other
    return flow.floor(input.to(flow.float64) / factor).to(input.dtype)
