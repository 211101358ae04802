"""Operations on whole lists of tensors, which optimizers of PyTorch's use to run faster; here one after the other."""

from torch2flow.models.lowering.lazy import flow
from torch2flow.port.compat.common import written
from torch2flow.port.compat.registry import stands_for


def spread(values, tensors):
    """One value for each tensor."""
    return list(values) if isinstance(values, list | tuple) else [values] * len(tensors)


def kept_in(tensors, results):
    """Writes results into tensors, in place."""
    for each, result in zip(tensors, results, strict=True):
        written(each, result)


@stands_for("torch._foreach_add", because="OneFlow has no `_foreach_add`.")
def foreach_add(tensors, other, *, alpha=1):
    return [x + y if alpha == 1 else x + alpha * y for x, y in zip(tensors, spread(other, tensors), strict=True)]


@stands_for("torch._foreach_add_", because="OneFlow has no `_foreach_add_`.")
def foreach_add_(tensors, other, *, alpha=1):
    kept_in(tensors, foreach_add(tensors, other, alpha=alpha))


@stands_for("torch._foreach_sub", because="OneFlow has no `_foreach_sub`.")
def foreach_sub(tensors, other, *, alpha=1):
    return [x - (y if alpha == 1 else alpha * y) for x, y in zip(tensors, spread(other, tensors), strict=True)]


@stands_for("torch._foreach_sub_", because="OneFlow has no `_foreach_sub_`.")
def foreach_sub_(tensors, other, *, alpha=1):
    kept_in(tensors, foreach_sub(tensors, other, alpha=alpha))


@stands_for("torch._foreach_mul", because="OneFlow has no `_foreach_mul`.")
def foreach_mul(tensors, other):
    return [x * y for x, y in zip(tensors, spread(other, tensors), strict=True)]


@stands_for("torch._foreach_mul_", because="OneFlow has no `_foreach_mul_`.")
def foreach_mul_(tensors, other):
    kept_in(tensors, foreach_mul(tensors, other))


@stands_for("torch._foreach_div", because="OneFlow has no `_foreach_div`.")
def foreach_div(tensors, other):
    return [x / y for x, y in zip(tensors, spread(other, tensors), strict=True)]


@stands_for("torch._foreach_div_", because="OneFlow has no `_foreach_div_`.")
def foreach_div_(tensors, other):
    kept_in(tensors, foreach_div(tensors, other))


@stands_for("torch._foreach_neg", because="OneFlow has no `_foreach_neg`.")
def foreach_neg(tensors):
    return [0 - x for x in tensors]


@stands_for("torch._foreach_neg_", because="OneFlow has no `_foreach_neg_`.")
def foreach_neg_(tensors):
    kept_in(tensors, foreach_neg(tensors))


@stands_for("torch._foreach_sqrt", because="OneFlow has no `_foreach_sqrt`.")
def foreach_sqrt(tensors):
    return [flow.sqrt(x) for x in tensors]


@stands_for("torch._foreach_sqrt_", because="OneFlow has no `_foreach_sqrt_`.")
def foreach_sqrt_(tensors):
    kept_in(tensors, foreach_sqrt(tensors))


@stands_for("torch._foreach_reciprocal_", because="OneFlow has no `_foreach_reciprocal_`.")
def foreach_reciprocal_(tensors):
    kept_in(tensors, [1 / x for x in tensors])


@stands_for("torch._foreach_maximum_", because="OneFlow has no `_foreach_maximum_`.")
def foreach_maximum_(tensors, other):
    pairs = zip(tensors, spread(other, tensors), strict=True)
    kept_in(tensors, [flow.maximum(x, y if isinstance(y, flow.Tensor) else flow.full_like(x, y)) for x, y in pairs])


@stands_for("torch._foreach_clamp_min_", because="OneFlow has no `_foreach_clamp_min_`.")
def foreach_clamp_min_(tensors, other):
    foreach_maximum_(tensors, other)


@stands_for("torch._foreach_addcmul_", because="OneFlow has no `_foreach_addcmul_`.")
def foreach_addcmul_(tensors, tensor1, tensor2, value=1):
    rows = zip(tensors, tensor1, tensor2, spread(value, tensors), strict=True)
    kept_in(tensors, [x + share * y * z for x, y, z, share in rows])


@stands_for("torch._foreach_addcdiv_", because="OneFlow has no `_foreach_addcdiv_`.")
def foreach_addcdiv_(tensors, tensor1, tensor2, value=1):
    rows = zip(tensors, tensor1, tensor2, spread(value, tensors), strict=True)
    kept_in(tensors, [x + share * y / z for x, y, z, share in rows])


@stands_for("torch._foreach_lerp_", because="OneFlow has no `_foreach_lerp_`.")
def foreach_lerp_(tensors, ends, weight):
    kept_in(tensors, [x + w * (y - x) for x, y, w in zip(tensors, ends, spread(weight, tensors), strict=True)])


@stands_for("torch._foreach_copy_", because="OneFlow has no `_foreach_copy_`.")
def foreach_copy_(tensors, sources):
    kept_in(tensors, sources)


@stands_for("torch._foreach_norm", because="OneFlow has no `_foreach_norm`.")
def foreach_norm(tensors, ord=2):
    return [flow.linalg.vector_norm(x, ord) for x in tensors]
