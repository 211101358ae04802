"""Methods of tensors: those that work in place, conversions, attributes, hooks."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.arithmetic import neg, power, round_to, trunc
from torch2flow.port.compat.common import sized, written
from torch2flow.port.compat.registry import stands_for

TYPE_OF_TENSOR = flow.Tensor.type
STRIDE_OF_TENSOR = flow.Tensor.stride
IS_CONTIGUOUS = flow.Tensor.is_contiguous
CLONE = flow.Tensor.clone
REGISTER_HOOK = flow.Tensor.register_hook

DTYPES_BY_TENSOR_TYPE = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64",
    "IntTensor": "int32",
    "ShortTensor": "int32",
    "CharTensor": "int8",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
}


@stands_for("torch.Tensor.copy_", because="OneFlow's returns nothing, and takes no `non_blocking`.")
def copy_(self, src, non_blocking=False):
    if not isinstance(src, flow.Tensor):
        src = flow.tensor(src)
    if self.numel():
        self[...] = flow._C.to(src, device=self.device, dtype=self.dtype)
    return self


@stands_for("torch.Tensor.fill_", because="OneFlow's writes beside a part of a tensor that is not contiguous.")
def fill_(self, value):
    if self.numel():
        self[...] = value.to(self.dtype) if isinstance(value, flow.Tensor) else value
    return self


@stands_for("torch.Tensor.zero_", because="OneFlow's writes beside a part of a tensor that is not contiguous.")
def zero_(self):
    return fill_(self, 0)


@stands_for("torch.Tensor.pow_", because="OneFlow has no `pow_`.")
def pow_(self, exponent):
    return written(self, power(self.clone(), exponent))


@stands_for("torch.Tensor.neg_", "torch.neg_", because="OneFlow has no `neg_`.")
def neg_(self):
    return written(self, neg(self.clone()))


@stands_for("torch.Tensor.round_", "torch.round_", because="OneFlow has no `round_`.")
def round_(self, *, decimals=0):
    return written(self, round_to(self, decimals=decimals))


@stands_for("torch.Tensor.trunc_", "torch.trunc_", because="OneFlow has no `trunc_`.")
def trunc_(self):
    return written(self, trunc(self))


@stands_for("torch.Tensor.tril_", because="OneFlow has no `tril_`.")
def tril_(self, diagonal=0):
    return written(self, flow.tril(self, diagonal))


@stands_for("torch.Tensor.triu_", because="OneFlow's does not change what is a part of another tensor.")
def triu_(self, diagonal=0):
    return written(self, flow.triu(self, diagonal))


@stands_for("torch.Tensor.fill_diagonal_", because="OneFlow has no `fill_diagonal_`.")
def fill_diagonal_(self, fill_value, wrap=False):
    on_diagonal = flow.eye(self.shape[0], self.shape[1], device=self.device) != 0
    return written(self, flow.masked_fill(self, on_diagonal, fill_value))


@stands_for("torch.Tensor.random_", because="OneFlow has no `random_`.")
def random_(self, start=0, end=None, *, generator=None):
    start, end = (0, start) if end is None and start else (start, end)
    end = 2**24 if end is None and self.dtype.is_floating_point else 2**31 - 1 if end is None else end
    with flow.no_grad():
        self[...] = flow.randint(start, end, tuple(self.shape), device=self.device).to(self.dtype)
    return self


@stands_for("torch.Tensor.bernoulli_", because="OneFlow's fails.")
def bernoulli_(self, p=0.5, *, generator=None):
    with flow.no_grad():
        self[...] = (flow.rand(tuple(self.shape), device=self.device) < p).to(self.dtype)
    return self


@stands_for("torch.Tensor.detach_", because="OneFlow has no `detach_`.")
def detach_(self):
    if self.requires_grad and not self.is_leaf:
        raise NotImplementedError("OneFlow can't detach a tensor in place: write `x = x.detach()`")
    return self.requires_grad_(False)


def reshaped(x, changed):
    """Gives a tensor another shape in place, where no gradient runs through it."""
    if x.requires_grad and not x.is_leaf:
        raise NotImplementedError("OneFlow can't change the shape of a tensor in place: assign the result instead")
    x.data = changed.detach()
    return x


@stands_for("torch.Tensor.squeeze_", because="OneFlow has no `squeeze_`.")
def squeeze_(self, dim=None):
    return reshaped(self, flow.squeeze(self) if dim is None else flow.squeeze(self, dim))


@stands_for("torch.Tensor.unsqueeze_", because="OneFlow has no `unsqueeze_`.")
def unsqueeze_(self, dim):
    return reshaped(self, flow.unsqueeze(self, dim))


@stands_for("torch.Tensor.t_", because="OneFlow has no `t_`.")
def t_(self):
    return reshaped(self, flow.transpose(self, 0, 1))


@stands_for("torch.Tensor.transpose_", because="OneFlow has no `transpose_`.")
def transpose_(self, dim0, dim1):
    return reshaped(self, flow.transpose(self, dim0, dim1))


@stands_for("torch.Tensor.resize_", because="OneFlow has no `resize_`.")
def resize_(self, *sizes, memory_format=None):
    sizes, count = sized(sizes), 1
    for size in sizes:
        count *= size
    flat = flow.reshape(self.detach(), (-1,))
    more = flow.zeros(max(count - flat.shape[0], 0), dtype=self.dtype, device=self.device)
    flat = flow.cat([flat, more]) if more.shape[0] else flat[:count]
    return reshaped(self, flow.reshape(flat, sizes))


@stands_for(
    "torch.Tensor.to",
    because="OneFlow's takes no `non_blocking` and no `memory_format`.",
    only_with=("non_blocking", "memory_format"),
)
def to(self, *args, non_blocking=False, memory_format=None, **named):
    args = [each for each in args if not (isinstance(each, bool) or (isinstance(each, str) and "_format" in each))]
    if args and isinstance(args[0], int):
        args[0] = flow.device(f"cuda:{args[0]}")
    if isinstance(named.get("device"), int):
        named["device"] = flow.device(f"cuda:{named['device']}")
    named = {name: value for name, value in named.items() if value is not None}
    args = [each for each in args if each is not None]
    return flow._C.to(self, *args, **named) if args or named else self


@stands_for(
    "torch.Tensor.cuda",
    because="OneFlow's takes no `non_blocking` and no `memory_format`.",
    only_with=("non_blocking", "memory_format"),
)
def cuda(self, device=None, non_blocking=False, memory_format=None):
    if device is None or isinstance(device, int):
        device = "cuda" if device is None else f"cuda:{device}"
    return flow._C.to(self, device)


@stands_for("torch.Tensor.cpu", because="OneFlow's takes no `memory_format`.", only_with=("memory_format",))
def cpu(self, memory_format=None):
    return flow._C.to(self, "cpu")


@stands_for("torch.Tensor.contiguous", because="OneFlow's takes no `memory_format`.", only_with=("memory_format",))
def contiguous(self, memory_format=None):
    return flow._C.contiguous(self)


@stands_for("torch.Tensor.is_contiguous", because="OneFlow's takes no `memory_format`.", only_with=("memory_format",))
def is_contiguous(self, memory_format=None):
    return IS_CONTIGUOUS(self)


@stands_for("torch.Tensor.clone", because="OneFlow's takes no `memory_format`.", only_with=("memory_format",))
def clone(self, *, memory_format=None):
    return CLONE(self)


@stands_for("torch.Tensor.type", because="OneFlow's knows `oneflow.FloatTensor` by that name alone.")
def type_of(self, dtype=None, non_blocking=False):
    if dtype is None:
        return TYPE_OF_TENSOR(self).replace("oneflow.", "torch.")
    if isinstance(dtype, flow.dtype):
        return flow._C.to(self, dtype)
    text = dtype if isinstance(dtype, str) else dtype.__name__ if hasattr(dtype, "__name__") else str(dtype)
    return flow._C.to(self, getattr(flow, DTYPES_BY_TENSOR_TYPE[text.rpartition(".")[2].strip("'>")]))


class TensorsOfOneType(type):
    """The type of the classes that `isinstance` asks whether a tensor is of a dtype and a place."""

    def __instancecheck__(cls, value):
        return isinstance(value, flow.Tensor) and f"'{TYPE_OF_TENSOR(value)}'" in str(cls.kind)


def of_type(kind):
    """`FloatTensor` as `isinstance` takes it; no tensor is one of OneFlow's."""
    return TensorsOfOneType(kind.__name__, (), {"kind": kind})


@stands_for("torch.Tensor.size", because="OneFlow's takes no keyword `dim=`.", only_with=("dim",))
def size(self, dim=None):
    return self.shape if dim is None else self.shape[dim]


@stands_for("torch.Tensor.stride", because="OneFlow's takes no dimension.", only_with=("dim",))
def stride(self, dim=None):
    return STRIDE_OF_TENSOR(self) if dim is None else STRIDE_OF_TENSOR(self)[dim]


@stands_for("torch.Tensor.get_device", because="OneFlow's fails for a tensor on a CPU, where PyTorch gives -1.")
def get_device(self):
    return self.device.index if self.is_cuda else -1


@stands_for("torch.Tensor.is_complex", "torch.is_complex", because="OneFlow has real numbers alone.")
def is_complex(input):
    return hasattr(input, "pair")


@stands_for("torch.Tensor.data_ptr", because="OneFlow has no `data_ptr`.")
def data_ptr(self):
    """A number that two tensors share when they are the same one; OneFlow tells no address."""
    return id(self)


@stands_for("torch.Tensor.mT", because="OneFlow has no `mT`.", attribute=True)
def transposed_matrix(self):
    return flow.transpose(self, -2, -1)


@stands_for("torch.Tensor.H", "torch.Tensor.mH", because="OneFlow has no `H`.", attribute=True)
def adjoint_matrix(self):
    return flow.transpose(self, -2, -1)


@stands_for("torch.Tensor.layout", because="OneFlow's tensors are all strided.", attribute=True)
def layout(self):
    return "strided"


@stands_for(
    "torch.Tensor.is_sparse",
    "torch.Tensor.is_quantized",
    "torch.Tensor.is_mps",
    "torch.Tensor.is_mkldnn",
    "torch.Tensor.is_meta",
    "torch.Tensor.is_nested",
    because="OneFlow has no such tensors.",
    attribute=True,
)
def is_of_no_special_kind(self):
    return False


@stands_for("torch.Tensor.real", because="OneFlow has real numbers alone.", attribute=True)
def real_part(self):
    return self


class HookOfTensor:
    """A hook on a tensor's gradient that can be removed; OneFlow gives none, and calls that of a leaf twice."""

    def __init__(self, tensor, hook):
        self.hook, self.is_leaf, self.result = hook, tensor.is_leaf, None
        self.calls = 0

    def __call__(self, gradient):
        if self.hook is None:
            return None
        self.calls += 1
        if not self.is_leaf or self.calls % 2:
            self.result = self.hook(gradient)
        return self.result

    def remove(self):
        self.hook = None


@stands_for("torch.Tensor.register_hook", because="OneFlow's returns no handle, and calls the hook of a leaf twice.")
def register_hook(self, hook):
    handle = HookOfTensor(self, hook)
    REGISTER_HOOK(self, handle)
    return handle


@stands_for("torch.Tensor.expand", because="OneFlow's fails for a tensor without dimensions that stays as it is.")
def expand(self, *sizes, implicit=False):
    sizes = sized(sizes)
    return flow.expand(self, *sizes) if sizes else self


@stands_for("torch.Tensor.set_", because="OneFlow has no `set_`.")
def set_(self, source):
    self.data = source
    return self


@stands_for("torch.Tensor.multinomial", because="OneFlow has the function alone.")
def drawn_by_weight(self, num_samples, replacement=False, *, generator=None):
    return flow.multinomial(self, num_samples, replacement, generator=generator)


@stands_for("torch.Tensor.hardshrink", because="OneFlow has the function alone.")
def hard_shrunk(self, lambd=0.5):
    return flow.nn.functional.hardshrink(self, lambd=lambd)


@stands_for("torch.Tensor.hsplit", because="OneFlow has the function alone.")
def columns_apart(self, indices_or_sections):
    return flow.hsplit(self, indices_or_sections)


@stands_for("torch.Tensor.vsplit", because="OneFlow has the function alone.")
def rows_apart(self, indices_or_sections):
    return flow.vsplit(self, indices_or_sections)


@stands_for("torch.Tensor.greater", because="OneFlow has the function alone.")
def greater(self, other):
    return flow.greater(self, other)


@stands_for("torch.Tensor.not_equal", because="OneFlow has the function alone.")
def not_equal(self, other):
    return flow.not_equal(self, other)


@stands_for("torch.fill", because="OneFlow has no `fill`.")
def filled(input, value):
    return fill_(flow.zeros_like(input), value)


@stands_for("torch.positive", "torch.Tensor.positive", because="OneFlow has no `positive`.")
def itself(input):
    return input


@stands_for("torch.adjoint", "torch.Tensor.adjoint", because="OneFlow has no `adjoint`.")
def adjoint(input):
    return input.transpose(-2, -1)


@stands_for("torch.Tensor.short", because="OneFlow has no int16: these are int32.")
def short(self, memory_format=None):
    return self.to(flow.int32)


@stands_for("torch.Tensor.char", because="OneFlow has no `char`.")
def char(self, memory_format=None):
    return self.to(flow.int8)


@stands_for("torch.Tensor.is_nonzero", because="OneFlow has the function alone.")
def is_nonzero(self):
    return bool(self)


@stands_for("torch.is_signed", "torch.Tensor.is_signed", because="OneFlow has no `is_signed`.")
def is_signed(input):
    return input.dtype not in (flow.uint8, flow.bool)
