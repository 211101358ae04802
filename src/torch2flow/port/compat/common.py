"""What the other files share: PyTorch's type promotion at run time, writing in place, pairs of values and indices."""

from collections import namedtuple

from torch2flow.models.lowering.lazy import flow
from torch2flow.models.program.promotion import common_dtype

ValuesAndIndices = namedtuple("ValuesAndIndices", ["values", "indices"])


def number(value):
    """A NumPy scalar as Python's own, a NumPy array as a tensor; everything else as it is."""
    if isinstance(value, flow.Tensor) or not hasattr(value, "item"):
        return value
    return flow.tensor(value) if hasattr(value, "__setitem__") else value.item()


def dtype_of(*operands):
    """PyTorch's common dtype of tensors and numbers."""
    return getattr(flow, common_dtype([described(each) for each in operands]))


def described(operand):
    """The dtype and the number of dimensions of a tensor; the type of a number."""
    if isinstance(operand, flow.Tensor):
        return str(operand.dtype).rpartition(".")[2], operand.ndim
    return type(number(operand)).__name__, None


def promoted(*operands):
    """Tensors in PyTorch's common dtype of all operands; numbers and None as they are."""
    operands = [number(each) for each in operands]
    first = operands[0]
    if all(isinstance(each, flow.Tensor) and each.dtype == first.dtype for each in operands):
        return operands
    dtype = dtype_of(*[each for each in operands if each is not None])
    return [
        (each if each.dtype == dtype else each.to(dtype)) if isinstance(each, flow.Tensor) else each
        for each in operands
    ]


def as_float(x):
    """A tensor of integers or bools in float32, as PyTorch takes it into `exp` and its kin."""
    return x if x.dtype.is_floating_point else x.to(flow.float32)


def written(x, value):
    """Writes a value into a tensor, in place, so that gradients flow through the value. Returns the tensor."""
    x[...] = value.to(x.dtype)
    return x


def stored(result, out):
    """A result, or the tensor of the caller's that it goes into."""
    return result if out is None else written(out, result)


def along(dim, axis):
    """The dimension: PyTorch takes NumPy's `axis` for `dim`."""
    return dim if axis is None else axis


def sized(size):
    """Sizes given one by one, as a list or as one argument, as a tuple."""
    if len(size) == 1 and not isinstance(size[0], int) and hasattr(size[0], "__iter__"):
        size = size[0]
    return tuple(int(each) for each in size)
