"""Parametrizations: a weight that is computed from others whenever it is read, by a subclass made for its module."""

import contextlib

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.registry import stands_for


@stands_for("torch.nn.utils.parametrize.ParametrizationList", because="OneFlow has no parametrizations.")
class ParametrizationList(nn.ModuleList):
    """The tensors that a weight is computed from, and the modules that compute it, one after the other."""

    def __init__(self, modules, original, unsafe=False):
        super().__init__(modules)
        new, inverse = original, getattr(modules[0], "right_inverse", None)
        with flow.no_grad():
            new = original if inverse is None else inverse(original.detach())
        self.is_tensor = isinstance(new, flow.Tensor)
        if self.is_tensor:
            original.data = new.detach().clone()
            self.keep("original", original, isinstance(original, nn.Parameter))
        else:
            self.ntensors = len(new)
            for place, each in enumerate(new):
                is_weight = isinstance(original, nn.Parameter)
                value = nn.Parameter(each.detach().clone(), original.requires_grad) if is_weight else each
                self.keep(f"original{place}", value, is_weight)

    def keep(self, name, value, is_parameter):
        if is_parameter:
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    def forward(self):
        names = ["original"] if self.is_tensor else [f"original{place}" for place in range(self.ntensors)]
        modules = [self._modules[str(place)] for place in range(len(self))]
        value = modules[0](*[getattr(self, name) for name in names])
        for module in modules[1:]:
            value = module(value)
        return value

    def assign(self, value):
        """Gives the tensors what makes the weight this value."""
        with flow.no_grad():
            for place in reversed(range(len(self))):
                inverse = getattr(self._modules[str(place)], "right_inverse", None)
                if inverse is None:
                    raise RuntimeError("a parametrization without `right_inverse` can't be assigned to")
                value = inverse(value)
            names = ["original"] if self.is_tensor else [f"original{place}" for place in range(self.ntensors)]
            for name, each in zip(names, [value] if self.is_tensor else value, strict=True):
                getattr(self, name).data.copy_(each)


@stands_for("torch.nn.utils.parametrize.register_parametrization", because="OneFlow has no parametrizations.")
def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        made = module.parametrizations[tensor_name]
        inverse = getattr(parametrization, "right_inverse", None)
        if inverse is not None:
            made.assign(inverse(getattr(module, tensor_name).detach()))
        made.append(parametrization)
        return module
    held = module._parameters if tensor_name in module._parameters else module._buffers
    if tensor_name not in held:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
                         f"'{tensor_name}'")  # fmt: skip
    original = held.pop(tensor_name)
    if not is_parametrized(module):
        kind = type(module)
        module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), {"kind_without": kind})
        module.parametrizations = nn.ModuleDict()
    module.parametrizations[tensor_name] = ParametrizationList([parametrization], original, unsafe)
    setattr(type(module), tensor_name, property(
        lambda self: self.parametrizations[tensor_name](),
        lambda self, value: self.parametrizations[tensor_name].assign(value),
    ))  # fmt: skip
    return module


@stands_for("torch.nn.utils.parametrize.is_parametrized", because="OneFlow has no parametrizations.")
def is_parametrized(module, tensor_name=None):
    made = module._modules.get("parametrizations")
    return made is not None and hasattr(module, "kind_without") and (tensor_name is None or tensor_name in made)


@stands_for("torch.nn.utils.parametrize.remove_parametrizations", because="OneFlow has no parametrizations.")
def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    made = module.parametrizations[tensor_name]
    if not leave_parametrized and not made.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is computed of several"
        )
    value = getattr(module, tensor_name).detach() if leave_parametrized else made.original.detach()
    parameters = list(made._parameters.values())
    delattr(type(module), tensor_name)
    del module.parametrizations._modules[tensor_name]
    if not module.parametrizations._modules:
        del module._modules["parametrizations"]
        module.__class__ = module.kind_without
    if parameters:
        kept = parameters[0] if made.is_tensor else nn.Parameter(value.clone(), parameters[0].requires_grad)
        kept.data = value.clone()
        module.register_parameter(tensor_name, kept)
    else:
        module.register_buffer(tensor_name, value.clone())
    return module


@stands_for("torch.nn.utils.parametrize.cached", because="OneFlow has no parametrizations: these compute anew.")
def cached():
    return contextlib.nullcontext()


def length_except(v, dim):
    """The lengths along all dimensions but one."""
    if dim == -1 or dim is None:
        return flow.sqrt((v * v).sum())
    return flow.sqrt((v * v).sum(dim=[each for each in range(v.ndim) if each != dim % v.ndim], keepdim=True))


class WeightNormOfTwo(nn.Module):
    """A weight by its lengths and directions."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / length_except(weight_v, self.dim))

    def right_inverse(self, weight):
        return length_except(weight, self.dim), weight


@stands_for("torch.nn.utils.parametrizations.weight_norm", because="OneFlow has no parametrizations.")
def weight_norm_of_two(module, name="weight", dim=0):
    return register_parametrization(module, name, WeightNormOfTwo(dim), unsafe=True)


class SpectralNormOfWeight(nn.Module):
    """Divides a weight by its largest singular value, which steps of power iteration follow in train mode."""

    def __init__(self, weight, steps, dim, eps):
        super().__init__()
        self.dim, self.eps, self.n_power_iterations = dim if dim >= 0 else dim + weight.ndim, eps, steps
        if weight.ndim > 1:
            matrix = self.matrix(weight)
            for name, size in (("_u", matrix.shape[0]), ("_v", matrix.shape[1])):
                self.register_buffer(name, self.unit(flow.randn(size, dtype=weight.dtype, device=weight.device)))
            self.iterate(matrix, 15)

    def matrix(self, weight):
        return flow.transpose(weight, 0, self.dim).reshape(weight.shape[self.dim], -1)

    def unit(self, x):
        return x / flow.clamp(flow.sqrt((x * x).sum()), min=self.eps)

    def iterate(self, matrix, steps):
        with flow.no_grad():
            fixed = matrix.detach()
            for _ in range(steps):
                self._u[...] = self.unit((fixed * self._v).sum(dim=1))
                self._v[...] = self.unit((flow.transpose(fixed, 0, 1) * self._u).sum(dim=1))

    def forward(self, weight):
        if weight.ndim == 1:
            return self.unit(weight)
        matrix = self.matrix(weight)
        if self.training:
            self.iterate(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()
        return weight / (u * (matrix * v).sum(dim=1)).sum()

    def right_inverse(self, value):
        return value


@stands_for("torch.nn.utils.parametrizations.spectral_norm", because="OneFlow has no parametrizations.")
def spectral_norm_of_weight(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    dim = int("ConvTranspose" in type(module).__name__) if dim is None else dim
    norm = SpectralNormOfWeight(getattr(module, name), n_power_iterations, dim, eps)
    return register_parametrization(module, name, norm)
