"""A module in another state for a while: its buffers kept, in float64, off by one rounding.

The module is the user's own. Afterwards its parameters, buffers and modes are the very ones it had.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

from torch2flow.proof.attributes import Attributes
from torch2flow.proof.capture.fake_quantisation import quantised_by_formula
from torch2flow.runtime.replaced_attributes import replaced_attributes


@contextlib.contextmanager
def untouched(torch: Any, module: Any, parameters: bool = True) -> Iterator[list[Any]]:
    """Afterwards the module holds what it held: a cache is empty again, a mode is what it was.

    Its parameters too: a teacher follows its student in `forward`, and a weight is clipped or normalized there.

    Args:
        torch: the module `torch`.
        module: what may change meanwhile.
        parameters: False where the module runs only inside of another such context, for the memory of a copy.

    Yields:
        A list, which afterwards holds the parameters and buffers that had changed, and modules that were new.
    """
    attributes, parts = Attributes(module), set(module.modules())
    tables = [(part._buffers, part._parameters) if parameters else (part._buffers,) for part in parts]
    held = [(table, name, value) for pair in tables for table in pair for name, value in table.items()]
    lazy = torch.nn.parameter.UninitializedTensorMixin
    made = {id(value): value for _, _, value in held if value is not None and not isinstance(value, lazy)}
    kept = [(value, value.data, value.detach().clone()) for value in made.values()]
    changed: list[Any] = []
    try:
        yield changed
    finally:
        changed += [part for part in module.modules() if part not in parts]
        before = {(id(table), name): value for table, name, value in held}
        for table in (table for pair in tables for table in pair):
            changed += [value for name, value in table.items() if value is not before.get((id(table), name))]
        attributes.put_back()
        with torch.no_grad():
            for value, data, copy in kept:
                if hasattr(data, "fake_mode"):
                    continue  # where nothing is computed, nothing was written: `without_computing`
                strided = data.layout is torch.strided and not data.is_meta
                moved, value.data = strided and value.data_ptr() != data.data_ptr(), data
                if value.grad_fn is not None:
                    value.detach_()  # what was written in place with gradients
                if moved or not strided or not torch.equal(data, copy):
                    changed.append(value)
                    data.copy_(copy)
            for table, name, value in held:
                table[name] = value


@contextlib.contextmanager
def doubled(torch: Any, module: Any) -> Iterator[None]:
    """The module in float64; afterwards its parameters and buffers are the same objects with the same memory.

    The `backward` of an `autograd.Function`, which PyTorch runs outside of any mode, is in `double_mode` too.
    """
    node = torch.autograd.function.BackwardCFunction
    backward = node.apply

    def backward_in_double(*args: Any) -> Any:
        with double_mode(torch):
            return backward(*args)

    parameters = [(parameter, parameter.data, parameter.grad) for parameter in module.parameters()]
    buffers = [(part._buffers, name, value) for part in module.modules() for name, value in part._buffers.items()]
    try:
        for parameter, _, _ in parameters:
            parameter.grad = None
        module.double()
        module._apply(lambda tensor: tensor.to(torch.complex128) if tensor.is_complex() else tensor)
        with replaced_attributes((node, "apply", backward_in_double)), quantised_by_formula(torch, exactly=True):
            yield
    finally:
        for parameter, data, gradient in parameters:
            parameter.data = data
            parameter.grad = gradient
        for table, name, value in buffers:
            table[name] = value


@contextlib.contextmanager
def double_mode(torch: Any, note: Callable[[], None] = lambda: None) -> Iterator[None]:
    """float64 also where the model's code asks for float32 by name: `x.float()`, `dtype=torch.float32`.

    A float32 tensor that no parameter or buffer holds (an attribute, a cache, a constant of a module of Python) is
    widened where a function gets it.

    The eps and momentum of `batch_norm` are what float32 makes of them: OneFlow 0.9.0 has them so in float64 too, and
    the difference of 2.5e-8 would hide others; one without statistics is a formula there. Its momentum is 1 less
    float32's 1 - momentum, in float32. So it has the slope of `leaky_relu` and the 0.044715 of gelu by tanh, and the
    difference would grow from layer to layer.

    Args:
        torch: the module `torch`.
        note: is called where a number that float32 does not hold is rounded, as a port by hand may not round it.
    """
    batch_norm = torch.nn.functional.batch_norm
    order = inspect.signature(batch_norm)
    leaky_relu, gelu = torch.nn.functional.leaky_relu, torch.nn.functional.gelu
    of_leaky_relu = inspect.signature(leaky_relu)

    def grouped_mm(rows: Any, weights: Any, *, offs: Any, **rest: Any) -> Any:
        """Each run of rows times its own matrix, which PyTorch itself (2.13) has no float64 of."""
        ends = offs.tolist()
        parts = [rows[a:b] @ weights[n] for n, (a, b) in enumerate(zip([0, *ends], ends, strict=False))]
        return torch.cat([*parts, rows.new_zeros(rows.shape[0] - ends[-1], weights.shape[-1])])

    def gelu_by_tanh(x: Any) -> Any:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + rounded(0.044715) * x**3)))

    class Doubles(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            func = wide.get(func, func)
            if func in grouped:
                func = grouped_mm
            if func is batch_norm:
                bound = order.bind(*args, **(kwargs or {}))
                bound.apply_defaults()
                args, kwargs = (), bound.arguments
            if func is batch_norm and kwargs["running_mean"] is not None:
                kwargs |= {"eps": rounded(kwargs["eps"]), "momentum": 1 - rounded(1 - kwargs["momentum"])}
            if func is leaky_relu:
                bound = of_leaky_relu.bind(*args, **(kwargs or {}))
                bound.apply_defaults()
                args, kwargs = (), bound.arguments
                slope, kwargs["negative_slope"] = kwargs["negative_slope"], rounded(kwargs["negative_slope"])
                if slope != kwargs["negative_slope"]:
                    note()
            if func is gelu and "tanh" in (*args[1:], *(kwargs or {}).values()):
                note()
                func, args, kwargs = gelu_by_tanh, (args[0] if args else kwargs["input"],), {}
            if func in literals:
                made = func(*args, **{name: widened(value) for name, value in (kwargs or {}).items()})
                with torch._C.DisableTorchFunction():  # a program holds it in float32, and so does the converted model
                    single = made.float().double() if made.dtype is torch.float64 else made
                    if single is not made and not torch.equal(single, made):
                        note()
                    return single
            changes = getattr(func, "__name__", "").endswith("_")  # as in `add_`, `__setitem__`, which must meet itself
            args = tuple(value if changes and not n else widened(value) for n, value in enumerate(args))
            return func(*args, **{name: widened(value) for name, value in (kwargs or {}).items()})

    def rounded(value: float) -> float:
        with torch._C.DisableTorchFunction():
            return float(torch.tensor(value, dtype=torch.float32))

    def widened(value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return dtypes.get(value, value)
        if type(value) in (list, tuple):
            return type(value)(map(widened, value))
        if isinstance(value, torch.Tensor):
            with torch._C.DisableTorchFunction():
                return value.to(dtypes[value.dtype]) if value.dtype in dtypes else value
        return value

    literals = (torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor)
    dtypes = {torch.float32: torch.float64, torch.complex64: torch.complex128}
    wide = {torch.Tensor.float: torch.Tensor.double, torch.Tensor.cfloat: torch.Tensor.cdouble}
    names = ((torch.nn.functional, "grouped_mm"), (torch, "_grouped_mm"))
    grouped = [getattr(home, name) for home, name in names if hasattr(home, name)]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with Doubles():
            yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def shaken(torch: Any, module: Any, seed: int) -> Iterator[None]:
    """Every floating or complex parameter is one rounding of its dtype higher, or lower, or as it is."""
    generator = torch.Generator().manual_seed(seed)
    kept = [(parameter, parameter.data) for parameter in module.parameters() if has_rounding(parameter)]
    try:
        for parameter, data in kept:
            parameter.data = one_rounding_off(torch, data, generator)
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data


def version_of(tensor: Any) -> int:
    """Counts what was written into a tensor; tensors of inference mode have no counter."""
    return -1 if tensor.is_inference() else int(tensor._version)


def has_rounding(tensor: Any) -> bool:
    """Whether a tensor holds floating or complex numbers."""
    return bool(tensor.is_floating_point() or tensor.is_complex())


def one_rounding_off(torch: Any, tensor: Any, generator: Any) -> Any:
    """A copy of a floating or complex tensor whose elements are moved by -1, 0 or 1 rounding of its dtype."""
    ways = torch.randint(-1, 2, tensor.shape, generator=generator).to(tensor.device, tensor.dtype)
    moved: Any = tensor * (1 + ways * torch.finfo(tensor.dtype).eps)
    return moved


@contextlib.contextmanager
def stepped(module: Any, after: dict[str, Any]) -> Iterator[None]:
    """A context in which some parameters, by name, hold other values: those after a step."""
    named = dict(module.named_parameters())
    kept = {name: named[name].data for name in after}
    try:
        for name, value in after.items():
            named[name].data = value.detach()
        yield
    finally:
        for name, data in kept.items():
            named[name].data = data


@contextlib.contextmanager
def ties_in_order(torch: Any) -> Iterator[None]:
    """Equal elements stay in their order where the model sorts: PyTorch leaves it open, a converted model keeps it."""
    sorting = (torch.sort, torch.argsort, torch.Tensor.sort, torch.Tensor.argsort)

    def options(input: Any, dim: int = -1, descending: bool = False, **rest: Any) -> tuple[Any, dict[str, Any]]:
        return input, {"dim": dim, "descending": descending, "stable": True, **rest}

    class InOrder(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in sorting and "stable" not in (kwargs or {}):
                with contextlib.suppress(TypeError):  # of axes with names
                    given, named = options(*args, **(kwargs or {}))
                    return func(given, **named)
            return func(*args, **(kwargs or {}))

    with InOrder():
        yield
