"""Derivatives of functions: Jacobians, Hessians, gradients checked by differences, calls with other parameters."""

import contextlib

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.registry import stands_for
from torch2flow.port.compat.running import grad


def given_as(inputs):
    """Inputs as a tuple, and whether they were one."""
    return (tuple(inputs), True) if isinstance(inputs, list | tuple) else ((inputs,), False)


def rows_of(output, inputs, create_graph):
    """The gradient of each number of an output in each input, stacked: for each input its Jacobian."""
    rows = [[] for _ in inputs]
    for place in range(output.numel()):
        chosen = flow.zeros(output.numel(), dtype=output.dtype, device=output.device)
        chosen[place] = 1
        found = grad(output, inputs, chosen.reshape(tuple(output.shape)), True, create_graph, allow_unused=True)
        for row, each, value in zip(rows, inputs, found, strict=True):
            row.append(flow.zeros_like(each) if value is None else value)
    return [
        flow.stack(row, dim=0).reshape((*output.shape, *each.shape)) for row, each in zip(rows, inputs, strict=True)
    ]


@stands_for("torch.autograd.functional.jacobian", because="OneFlow has no `jacobian`.")
def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    inputs, were_many = given_as(inputs)
    with flow.enable_grad():
        own = [each * 1 if create_graph and each.requires_grad else each.detach().requires_grad_() for each in inputs]
        outputs, gives_many = given_as(func(*own))
        found = [
            tuple(rows_of(each, own, create_graph))
            if each.requires_grad
            else tuple(flow.zeros(*each.shape, *one.shape, dtype=each.dtype) for one in own)
            for each in outputs
        ]
    found = [each if were_many else each[0] for each in found]
    return tuple(found) if gives_many else found[0]


@stands_for("torch.autograd.functional.hessian", because="OneFlow has no `hessian`.")
def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    given, were_many = given_as(inputs)

    def gradient(*values):
        values = [each if each.requires_grad else each.detach().requires_grad_() for each in values]
        found = grad(func(*values), values, create_graph=True)
        return tuple(found) if were_many else found[0]

    return jacobian(gradient, given if were_many else given[0], create_graph)


@stands_for(
    "torch.func.functional_call",
    "torch.nn.utils.stateless.functional_call",
    because="OneFlow has no `functional_call`: the module holds the other tensors while it is called.",
)
def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    given = parameter_and_buffer_dicts
    named = {**given} if isinstance(given, dict) else {key: value for each in given for key, value in each.items()}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with holding(module, named):
        return module(*args, **(kwargs or {}))


@contextlib.contextmanager
def holding(module, tensors):
    """While it lasts, a module has these tensors as its parameters and buffers."""
    replaced = []
    try:
        for name, tensor in tensors.items():
            path, _, last = name.rpartition(".")
            owner = module
            for part in path.split(".") if path else []:
                owner = owner._modules[part]
            held = owner._parameters if last in owner._parameters else owner._buffers
            if last not in held:
                raise KeyError(f"the module has no parameter and no buffer {name}")
            before = held[last]
            for other in module.modules():  # a parameter that is tied has one tensor under all its names
                for kind in (other._parameters, other._buffers):
                    for key in [key for key, value in kind.items() if value is before and value is not None]:
                        replaced.append((kind, key, before))
                        kind[key] = tensor
        yield
    finally:
        for kind, key, before in reversed(replaced):
            kind[key] = before


@stands_for("torch.autograd.gradcheck", "torch.autograd.gradcheck.gradcheck", because="OneFlow has no `gradcheck`.")
def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, **settings):
    inputs, _ = given_as(inputs)
    asked = [each for each in inputs if isinstance(each, flow.Tensor) and each.requires_grad]
    outputs, _ = given_as(func(*inputs))
    for output in [each for each in outputs if isinstance(each, flow.Tensor) and each.requires_grad]:
        place = next(place for place, each in enumerate(outputs) if each is output)
        for given, analytical in zip(asked, rows_of(output, asked, False), strict=True):
            analytical = analytical.reshape(output.numel(), given.numel())
            for column in range(given.numel()):
                numerical = slope_at(func, inputs, given, column, place, eps)
                away = flow.abs(analytical[:, column] - numerical)
                if bool((away > atol + rtol * flow.abs(numerical)).any()):
                    if raise_exception:
                        raise RuntimeError(f"Jacobian mismatch for output {place} in number {column} of an input")
                    return False
    return True


def slope_at(func, inputs, given, column, place, eps):
    """The slope of an output in one number of an input, by a difference."""
    found = []
    for away in (eps, -eps):
        step = flow.zeros(given.numel(), dtype=given.dtype, device=given.device)
        step[column] = away
        moved = (given.detach() + step.reshape(tuple(given.shape))).requires_grad_()
        outputs, _ = given_as(func(*[moved if each is given else each for each in inputs]))
        found.append(outputs[place].detach().reshape(-1))
    return (found[0] - found[1]) / (2 * eps)
