"""Complex tensors, which OneFlow 0.9.0 has none of: a class that holds them as pairs of real numbers.

What code does with such a tensor goes to the functions of `complex_functions.py`, also where it calls a function of
OneFlow's; one that has no complex form raises, and never gets the pairs for real numbers.
"""

import types
from functools import wraps
from importlib import import_module

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.registry import stands_for


class ComplexDtype:
    """The dtype of complex tensors; `real` is that of their parts."""

    is_floating_point, is_complex, real = False, True, "float32"


@stands_for("torch.complex64", "torch.cfloat", because="OneFlow has no complex dtypes.")
class complex64(ComplexDtype):
    itemsize = 8


@stands_for("torch.complex128", "torch.cdouble", because="OneFlow has no complex dtypes.")
class complex128(ComplexDtype):
    itemsize, real = 16, "float64"


class Complex(flow.Tensor):
    """A complex tensor. `pair` is a real tensor whose last dimension holds the real and the imaginary parts."""

    pair, taken = None, False
    shape = property(lambda self: self.pair.shape[:-1])
    ndim = property(lambda self: self.pair.ndim - 1)
    dtype = property(lambda self: complex128 if self.pair.dtype == flow.float64 else complex64)
    device = property(lambda self: self.pair.device)
    is_cuda = property(lambda self: self.pair.is_cuda)
    is_leaf = property(lambda self: self.pair.is_leaf)
    requires_grad = property(
        lambda self: self.pair.requires_grad, lambda self, value: self.pair.requires_grad_(value) and None
    )
    real = property(lambda self: self.pair[..., 0])
    imag = property(lambda self: self.pair[..., 1])
    grad = property(lambda self: None if self.pair.grad is None else complex_tensor(self.pair.grad))
    data = property(lambda self: complex_tensor(self.pair.data))

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[dim]

    def dim(self):
        return self.ndim

    ndimension = dim

    def numel(self):
        return self.pair.numel() // 2

    nelement = numel

    def __len__(self):
        return self.shape[0]

    def __iter__(self):
        return (self[place] for place in range(self.shape[0]))

    def __repr__(self):
        return f"complex tensor({self.numpy()})"

    def __bool__(self):
        return bool(self.item())

    __hash__ = object.__hash__

    def is_complex(self):
        return True

    def is_floating_point(self):
        return False

    def is_contiguous(self, *args, **named):
        return self.pair.is_contiguous()

    def is_conj(self):
        return False

    def numpy(self):
        found = self.pair.numpy()
        return found[..., 0] + 1j * found[..., 1]

    def item(self):
        return self.numpy().item()

    def tolist(self):
        return self.numpy().tolist()

    def requires_grad_(self, requires_grad=True):
        self.pair.requires_grad_(requires_grad)
        return self

    def backward(self, gradient=None, *args, **named):
        self.pair.backward(gradient.pair, *args, **named)

    def __getitem__(self, key):
        return complex_tensor(self.pair[key_of_pairs(key)])

    def __setitem__(self, key, value):
        if isinstance(value, flow.Tensor) and not isinstance(value, Complex):
            value = complex_tensor(flow.stack([value, flow.zeros_like(value)], dim=-1))
        if isinstance(value, Complex):
            self.pair[key_of_pairs(key)] = value.pair.to(self.pair.dtype)
        else:
            parts = flow.tensor([complex(value).real, complex(value).imag], dtype=self.pair.dtype, device=self.device)
            whole = self.pair[key_of_pairs(key)]
            self.pair[key_of_pairs(key)] = parts.expand(*whole.shape)


def key_of_pairs(key):
    """The subscript of pairs that picks what `key` picks of complex numbers."""
    parts = key if isinstance(key, tuple) else (key,)
    return (*parts, slice(None)) if any(each is Ellipsis for each in parts) else key


def complex_tensor(pair):
    """Pairs as a complex tensor."""
    made = Complex(flow.zeros(0))
    made.pair = pair
    return made


def of_complex(given):
    """Whether an argument is complex, or a complex dtype, or holds something that is."""
    if isinstance(given, list | tuple):
        return any(of_complex(each) for each in given)
    if isinstance(given, type):
        return issubclass(given, ComplexDtype)
    return isinstance(given, Complex | complex)


def for_complex(own, name, functions):
    """A function that leaves what is complex to the one of the same name here, and all else to OneFlow's own."""

    @wraps(own)
    def call(*args, **named):
        if not of_complex(args) and not of_complex(tuple(named.values())):
            return own(*args, **named)
        if name not in functions:
            raise NotImplementedError(f"OneFlow 0.9.0 has no complex tensors, and `{name}` has no form for them here.")
        return functions[name](*args, **named)

    return call


def as_parameter(data, requires_grad):
    """A complex parameter: its pairs are a parameter of OneFlow's."""
    made = Complex(flow.zeros(0))
    made.pair = nn.Parameter(data.pair.detach(), requires_grad)
    return made


def take_complex_numbers(functions, space):
    """Lets OneFlow's functions, operators and modules take complex tensors.

    Args:
        functions: what there is for complex tensors, by PyTorch's names.
        space: the names of the module that holds the substitutes.
    """
    if Complex.taken:
        return
    earlier = getattr(flow, "complex_of_ported_code", None)
    if earlier is not None:  # another folder's module came first: both have one class of complex tensors
        ours = (Complex, ComplexDtype)
        for name, own in list(space.items()):
            if isinstance(own, type) and issubclass(own, ours) and name in earlier:
                space[name] = earlier[name]
    Complex.taken = True
    flow.complex_of_ported_code = earlier or space
    plain = (types.BuiltinFunctionType, types.FunctionType)
    for home in map(import_module, ("oneflow", "oneflow._C", "oneflow.linalg", "oneflow.nn.functional")):
        for name, own in list(vars(home).items()):
            if isinstance(own, plain) and not name.startswith("_") and name not in ("save", "load", "is_tensor"):
                setattr(home, name, for_complex(own, name, functions))
    for table in (space, *space.get("MODULES", {}).values()):
        for name, own in list(table.items()):
            if name in functions and isinstance(own, plain) and own is not functions[name]:
                table[name] = for_complex(own, name, functions)
    operators = [
        f"__{side}{name}__" for name in ("add", "sub", "mul", "truediv", "pow", "matmul") for side in ("", "r")
    ]
    for name in (*operators, *(name for name in dir(flow.Tensor) if not name.startswith("_"))):
        own = getattr(flow.Tensor, name)
        if isinstance(own, (*plain, types.MethodDescriptorType, types.WrapperDescriptorType)):
            setattr(flow.Tensor, name, for_complex(own, name, functions))
    for name, function in functions.items():
        setattr(Complex, name, function)
    kept = {*vars(Complex), "register_hook", "retain_grad", "grad_fn", "__class__", "_meta_repr"}
    operators = ("lt", "le", "gt", "ge", "mod", "rmod", "floordiv", "rfloordiv", "and", "or", "xor", "invert", "rpow")
    for name in (*dir(flow.Tensor), *(f"__{name}__" for name in (*operators, "float", "int", "index"))):
        if name not in kept and (not name.startswith("_") or name.strip("_") in (*operators, "float", "int", "index")):
            setattr(Complex, name, refused(name))
    _take_into_modules()


def refused(name):
    """A method that complex tensors have not."""

    def call(self, *args, **named):
        raise NotImplementedError(f"OneFlow 0.9.0 has no complex tensors, and `{name}` has no form for them here.")

    return call


def _take_into_modules():
    """Modules keep the pairs of complex parameters and buffers, and give them as complex tensors."""
    module, parameter = nn.Module, nn.Parameter
    set_own, get_own = module.__setattr__, module.__getattr__
    register_buffer, register_parameter = module.register_buffer, module.register_parameter

    def __setattr__(self, name, value):
        if not isinstance(value, Complex):
            set_own(self, name, value)
        elif isinstance(value.pair, parameter) or name in self.__dict__.get("_buffers", ()):
            set_own(self, name, value.pair)
            self.__dict__.setdefault("_complex", set()).add(name)
        else:
            self.__dict__[name] = value

    def __getattr__(self, name):
        value = get_own(self, name)
        is_pair = name in self.__dict__.get("_complex", ()) and value is not None
        return complex_tensor(value) if is_pair else value

    def taking(own):
        def register(self, name, value, *args, **named):
            if isinstance(value, Complex):
                value = value.pair
                self.__dict__.setdefault("_complex", set()).add(name)
            own(self, name, value, *args, **named)

        return register

    class Kind(type):
        def __instancecheck__(cls, instance):
            return isinstance(instance, parameter) or (
                isinstance(instance, Complex) and isinstance(instance.pair, parameter)
            )

    class Parameter(metaclass=Kind):
        def __new__(cls, data=None, requires_grad=True):
            return as_parameter(data, requires_grad) if isinstance(data, Complex) else parameter(data, requires_grad)

    module.__setattr__, module.__getattr__ = __setattr__, __getattr__
    module.register_buffer, module.register_parameter = taking(register_buffer), taking(register_parameter)
    flow.nn.Parameter = flow.nn.parameter.Parameter = Parameter
