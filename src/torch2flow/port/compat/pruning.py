"""`torch.nn.utils.prune`: a weight times a mask of zeros and ones, computed before each call of its module."""

import numbers

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.absent_modules import register_forward_pre_hook
from torch2flow.port.compat.ordering import topk
from torch2flow.port.compat.reduction import norm
from torch2flow.port.compat.registry import stands_for

NO_PRUNING = "OneFlow has no pruning."


@stands_for("torch.nn.utils.prune.BasePruningMethod", because=NO_PRUNING)
class BasePruningMethod:
    """A hook that runs before its module: subclasses say by `compute_mask` what is kept of a tensor."""

    def __call__(self, module, inputs):
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module):
        original = getattr(module, f"{self._tensor_name}_orig")
        return getattr(module, f"{self._tensor_name}_mask").to(original.dtype) * original

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        method, hooks = cls(*args, **kwargs), pruning_hooks(module, name)
        method._tensor_name = name
        value = getattr(module, name)
        scores = value if importance_scores is None else importance_scores
        assert tuple(scores.shape) == tuple(value.shape), "importance_scores should have the shape of the parameter"
        before = flow.ones_like(value)
        for place, hook in hooks:
            before = getattr(module, f"{name}_mask").detach().clone()
            method = PruningContainer(*(hook if isinstance(hook, PruningContainer) else (hook,)), method)
            del module._forward_pre_hooks[place]
        mask = method.compute_mask(scores.detach(), before.detach())
        if not hooks:
            module.register_parameter(f"{name}_orig", module._parameters.pop(name))
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        register_forward_pre_hook(module, method)
        return method

    def prune(self, t, default_mask=None, importance_scores=None):
        default_mask = flow.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(t if importance_scores is None else importance_scores, default_mask)

    def remove(self, module):
        name = self._tensor_name
        pruned, original = self.apply_mask(module), module._parameters.pop(f"{name}_orig")
        delattr(module, name)
        original.data = pruned.detach()
        del module._buffers[f"{name}_mask"]
        setattr(module, name, original)


def pruning_hooks(module, name=None):
    """The hooks of a module that prune the tensor of this name, or any, and their keys."""
    hooks = [(key, each) for key, each in module._forward_pre_hooks.items() if isinstance(each, BasePruningMethod)]
    return [(key, each) for key, each in hooks if name in (None, each._tensor_name)]


@stands_for("torch.nn.utils.prune.PruningContainer", because=NO_PRUNING)
class PruningContainer(BasePruningMethod):
    """Methods one after the other: the last one prunes what the mask has left."""

    def __init__(self, *args):
        self._pruning_methods = ()
        for method in args:
            self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method):
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(f"The methods of one container prune '{self._tensor_name}', not '{method._tensor_name}'")
        self._pruning_methods += (method,)

    def __len__(self):
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, idx):
        return self._pruning_methods[idx]

    def compute_mask(self, t, default_mask):
        method, mask = self._pruning_methods[-1], default_mask.to(t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            flat = mask.reshape(-1).clone()
            left = flow.nonzero(flat == 1).squeeze(1)
            flat[left] = method.compute_mask(t.reshape(-1)[left], flat[left]).to(t.dtype)
            return flat.reshape(*mask.shape)
        if method.PRUNING_TYPE == "structured":
            rows = flow.transpose(mask, 0, method.dim).clone()
            left = flow.nonzero(rows.reshape(rows.shape[0], -1).sum(dim=1)).squeeze(1)
            of_left = [flow.transpose(flow.transpose(each, 0, method.dim)[left], 0, method.dim) for each in (t, mask)]
            rows[left] = flow.transpose(method.compute_mask(*of_left).to(t.dtype), 0, method.dim)
            return flow.transpose(rows, 0, method.dim).contiguous()
        if method.PRUNING_TYPE == "global":
            return method.compute_mask(t, mask).to(t.dtype)
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")


@stands_for("torch.nn.utils.prune.Identity", because=NO_PRUNING)
class IdentityPruning(BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask


def checked_amount(amount):
    """How much to prune: a number of elements, or a fraction of them."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (not isinstance(amount, numbers.Integral) and amount > 1):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")
    return amount


def count_to_prune(amount, size):
    """How many of so many elements are pruned."""
    if isinstance(amount, numbers.Integral) and amount > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return amount if isinstance(amount, numbers.Integral) else round(amount * size)


@stands_for("torch.nn.utils.prune.L1Unstructured", because=NO_PRUNING)
class L1Unstructured(BasePruningMethod):
    """Prunes the elements with the smallest scores."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount):
        self.amount = checked_amount(amount)

    def scores(self, t):
        return t.abs()

    def compute_mask(self, t, default_mask):
        count, flat = count_to_prune(self.amount, t.numel()), default_mask.reshape(-1).clone()
        if count:
            flat[topk(self.scores(t).reshape(-1), count, largest=False)[1]] = 0
        return flat.reshape(*t.shape)


@stands_for("torch.nn.utils.prune.RandomUnstructured", because=NO_PRUNING)
class RandomUnstructured(L1Unstructured):
    def scores(self, t):
        return flow.rand(*t.shape, device=t.device)


@stands_for("torch.nn.utils.prune.LnStructured", because=NO_PRUNING)
class LnStructured(BasePruningMethod):
    """Prunes the channels with the smallest norms."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, n, dim=-1):
        self.amount, self.n, self.dim = checked_amount(amount), n, dim

    def scores(self, t):
        return norm(t, self.n, [each for each in range(t.ndim) if each != self.dim % t.ndim])

    def compute_mask(self, t, default_mask):
        if t.ndim < 2:
            raise ValueError(f"Structured pruning can only be applied to multidimensional tensors, not to {t.shape}")
        if self.dim >= t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        size = t.shape[self.dim]
        kept = flow.zeros(size, dtype=t.dtype, device=t.device)
        kept[topk(self.scores(t), size - count_to_prune(self.amount, size))[1]] = 1
        return default_mask.to(t.dtype) * kept.reshape(
            *[size if each == self.dim % t.ndim else 1 for each in range(t.ndim)]
        )


@stands_for("torch.nn.utils.prune.RandomStructured", because=NO_PRUNING)
class RandomStructured(LnStructured):
    def __init__(self, amount, dim=-1):
        super().__init__(amount, None, dim)

    def scores(self, t):
        return flow.rand(t.shape[self.dim], device=t.device)


@stands_for("torch.nn.utils.prune.CustomFromMask", because=NO_PRUNING)
class CustomFromMask(BasePruningMethod):
    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        assert tuple(default_mask.shape) == tuple(self.mask.shape)
        return default_mask * self.mask.to(default_mask.dtype)


@stands_for("torch.nn.utils.prune.identity", because=NO_PRUNING)
def prune_nothing(module, name):
    IdentityPruning.apply(module, name)
    return module


@stands_for("torch.nn.utils.prune.random_unstructured", because=NO_PRUNING)
def random_unstructured(module, name, amount):
    RandomUnstructured.apply(module, name, amount)
    return module


@stands_for("torch.nn.utils.prune.l1_unstructured", because=NO_PRUNING)
def l1_unstructured(module, name, amount, importance_scores=None):
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


@stands_for("torch.nn.utils.prune.random_structured", because=NO_PRUNING)
def random_structured(module, name, amount, dim):
    RandomStructured.apply(module, name, amount, dim)
    return module


@stands_for("torch.nn.utils.prune.ln_structured", because=NO_PRUNING)
def ln_structured(module, name, amount, n, dim, importance_scores=None):
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


@stands_for("torch.nn.utils.prune.custom_from_mask", because=NO_PRUNING)
def custom_from_mask(module, name, mask):
    CustomFromMask.apply(module, name, mask)
    return module


@stands_for("torch.nn.utils.prune.global_unstructured", because=NO_PRUNING)
def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs):
    parameters, given = list(parameters), importance_scores or {}
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(f'Only "unstructured" PRUNING_TYPE supported. Found {pruning_method}: {method.PRUNING_TYPE}')
    method._tensor_name = "all"
    values = [getattr(module, name) for module, name in parameters]
    masks = [
        getattr(module, f"{name}_mask", flow.ones_like(x)) for (module, name), x in zip(parameters, values, strict=True)
    ]
    scores = [given.get(key, x) for key, x in zip(parameters, values, strict=True)]
    joined = [flow.cat([each.detach().reshape(-1) for each in tensors]) for tensors in (scores, masks)]
    found = PruningContainer(method).compute_mask(*joined)
    for (module, name), x in zip(parameters, values, strict=True):
        custom_from_mask(module, name, found[: x.numel()].reshape(*x.shape))
        found = found[x.numel() :]


@stands_for("torch.nn.utils.prune.remove", because=NO_PRUNING)
def remove_pruning(module, name):
    for key, hook in pruning_hooks(module, name):
        hook.remove(module)
        del module._forward_pre_hooks[key]
        return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


@stands_for("torch.nn.utils.prune.is_pruned", because=NO_PRUNING)
def is_pruned(module):
    return any(pruning_hooks(each) for each in module.modules())
