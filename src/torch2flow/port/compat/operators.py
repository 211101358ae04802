"""Operators of Python on tensors: what `port/operands.py` gives OneFlow's tensors where code may need it."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.common import as_float, number, promoted
from torch2flow.port.compat.registry import stands_for

ADD_IN_PLACE = flow.Tensor.add_
SUBTRACT_IN_PLACE = flow.Tensor.sub_
MULTIPLY_IN_PLACE = flow.Tensor.mul_
DIVIDE_IN_PLACE = flow.Tensor.div_


@stands_for(
    "torch.Tensor.__add__",
    "torch.Tensor.__radd__",
    because="OneFlow's gives integers for integers and a float tensor without dimensions, and takes no NumPy numbers.",
)
def plus(self, other):
    return flow.add(*promoted(self, other))


@stands_for(
    "torch.Tensor.__mul__",
    "torch.Tensor.__rmul__",
    because="OneFlow's gives integers for integers and a float tensor without dimensions, and takes no NumPy numbers.",
)
def times(self, other):
    other = int(other) if isinstance(other, bool) and self.dtype != flow.bool else other
    return flow.mul(*promoted(self, other))


@stands_for(
    "torch.Tensor.__sub__",
    because="OneFlow's gives integers for integers and a float tensor without dimensions, and takes no NumPy numbers.",
)
def minus(self, other):
    return flow.sub(*promoted(self, other))


@stands_for("torch.Tensor.__rsub__", because="OneFlow's takes no NumPy numbers.")
def minus_from(self, other):
    return minus(flow.tensor(other), self) if hasattr(other, "__setitem__") else flow.sub(number(other), self)


@stands_for(
    "torch.Tensor.__truediv__",
    because="OneFlow's gives bools for bools and a float tensor without dimensions, and takes no NumPy numbers.",
)
def over(self, other):
    self, other = promoted(self, other)
    return flow.div(as_float(self), other)


@stands_for("torch.Tensor.__rtruediv__", because="OneFlow's takes no NumPy numbers.")
def over_from(self, other):
    return over(flow.tensor(other), self) if hasattr(other, "__setitem__") else flow.div(number(other), as_float(self))


@stands_for("torch.Tensor.__iadd__", because="OneFlow's takes no NumPy numbers.")
def add_in_place(self, other):
    return ADD_IN_PLACE(self, number(other))


@stands_for("torch.Tensor.__isub__", because="OneFlow's takes no NumPy numbers.")
def subtract_in_place(self, other):
    return SUBTRACT_IN_PLACE(self, number(other))


@stands_for("torch.Tensor.__imul__", because="OneFlow's takes no NumPy numbers.")
def multiply_in_place(self, other):
    return MULTIPLY_IN_PLACE(self, number(other))


@stands_for("torch.Tensor.__itruediv__", because="OneFlow's takes no NumPy numbers.")
def divide_in_place(self, other):
    return DIVIDE_IN_PLACE(self, number(other))


OTHER_THAN_PYTORCH = (
    "OneFlow's compares integers with a float tensor without dimensions as integers, and takes no NumPy numbers."
)


def are_comparable(other):
    """Whether a tensor can be compared with it; Python decides about everything else."""
    return isinstance(other, flow.Tensor | int | float) or hasattr(other, "item")


@stands_for("torch.Tensor.__eq__", because=OTHER_THAN_PYTORCH)
def is_equal(self, other):
    return flow.eq(*promoted(self, other)) if are_comparable(other) else NotImplemented


@stands_for("torch.Tensor.__ne__", because=OTHER_THAN_PYTORCH)
def is_unequal(self, other):
    return flow.ne(*promoted(self, other)) if are_comparable(other) else NotImplemented


@stands_for("torch.Tensor.__lt__", because=OTHER_THAN_PYTORCH)
def is_less(self, other):
    return flow.lt(*promoted(self, other)) if are_comparable(other) else NotImplemented


@stands_for("torch.Tensor.__le__", because=OTHER_THAN_PYTORCH)
def is_at_most(self, other):
    return flow.le(*promoted(self, other)) if are_comparable(other) else NotImplemented


@stands_for("torch.Tensor.__gt__", because=OTHER_THAN_PYTORCH)
def is_greater(self, other):
    return flow.gt(*promoted(self, other)) if are_comparable(other) else NotImplemented


@stands_for("torch.Tensor.__ge__", because=OTHER_THAN_PYTORCH)
def is_at_least(self, other):
    return flow.ge(*promoted(self, other)) if are_comparable(other) else NotImplemented


@stands_for(
    "torch.Tensor.__array_priority__",
    because="Without it, a NumPy number times a tensor is an array of NumPy's, and no gradient comes through it.",
    attribute=True,
)
def array_priority(self):
    return 1000
