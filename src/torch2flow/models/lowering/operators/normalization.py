"""Normalizations."""

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("torch2flow.normalize")
@helper
def normalize(x, dim=1, eps=1e-12):
    """PyTorch's `F.normalize`. OneFlow's own bounds the sum of squares by `eps`, and not the norm."""
    return x / flow.clamp(flow.linalg.vector_norm(x, dim=dim, keepdim=True), min=eps)


@operator("aten.layer_norm")
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True):
    if (weight is None) == (bias is None) and len(normalized_shape) < input.ndim:
        return F.layer_norm(input, normalized_shape, weight=weight, bias=bias, eps=eps)
    if len(normalized_shape) == input.ndim:
        return normalize_last(input.unsqueeze(0), normalized_shape, weight, bias, eps).squeeze(0)
    return normalize_last(input, normalized_shape, weight, bias, eps)


@helper
def normalize_last(x, shape, weight=None, bias=None, eps=1e-05):
    """`layer_norm` with a weight or a bias alone, which OneFlow 0.9.0's silently ignores."""
    x = F.layer_norm(x, shape, eps=eps)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


@operator("aten.native_layer_norm")
def native_layer_norm(input, normalized_shape, weight, bias, eps):
    dims = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    return layer_norm(input, normalized_shape, weight, bias, eps), *mean_and_deviation(input, dims, eps)


def mean_and_deviation(x, dim, eps):
    """The mean and 1 / sqrt(variance + eps), which only PyTorch's backward uses."""
    return x.detach().mean(dim=dim, keepdim=True), reciprocal_deviation(x.detach(), dim, eps)


@helper
def reciprocal_deviation(x, dim, eps):
    """1 / sqrt(variance + eps), which PyTorch's normalizations give as their last result."""
    return flow.rsqrt(flow.square(x - x.mean(dim=dim, keepdim=True)).mean(dim=dim, keepdim=True) + eps)


@operator("aten.batch_norm")
def batch_norm(
    input,
    weight=None,
    bias=None,
    running_mean=None,
    running_var=None,
    training=False,
    momentum=0.1,
    eps=1e-05,
    cudnn_enabled=True,
):
    if running_mean is None or (weight is None) != (bias is None):
        return normalize_channels(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return F.batch_norm(
        input, running_mean, running_var, weight=weight, bias=bias, training=training, momentum=momentum, eps=eps
    )


@helper
def normalize_channels(x, mean=None, variance=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05):
    """`batch_norm` without statistics, or with a weight or a bias alone, which OneFlow 0.9.0 gets wrong."""
    if weight is None:
        weight = flow.ones(x.shape[1], dtype=x.dtype, device=x.device)
    if bias is None:
        bias = flow.zeros(x.shape[1], dtype=x.dtype, device=x.device)
    if mean is not None:
        return F.batch_norm(x, mean, variance, weight, bias, training, momentum, eps)
    dims, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
    x = (x - x.mean(dim=dims, keepdim=True)) * reciprocal_deviation(x, dims, eps)
    return x * weight.reshape(*shape) + bias.reshape(*shape)


@operator("aten._native_batch_norm_legit_no_training")
def native_batch_norm_no_training(input, weight, bias, running_mean, running_var, momentum, eps):
    result = batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)
    return result, flow.zeros(0, device=input.device), flow.zeros(0, device=input.device)


@operator("aten.native_batch_norm", "aten._native_batch_norm_legit", "aten._native_batch_norm_legit.no_stats")
def native_batch_norm(input, weight, bias, running_mean=None, running_var=None, training=False, momentum=0.1, eps=1e-5):
    training = training if running_mean is not None else True
    result = normalize_channels(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return result, flow.zeros(0, device=input.device), flow.zeros(0, device=input.device)
    dims = [0, *range(2, input.ndim)]
    return result, input.detach().mean(dim=dims), reciprocal_deviation(input.detach(), dims, eps).flatten()


@operator("aten._native_batch_norm_legit_functional")
@helper
def native_batch_norm_functional(input, weight, bias, running_mean, running_var, training, momentum, eps):
    """`batch_norm` that returns the new running statistics instead of writing them."""
    if not training:
        empty = flow.zeros(0, device=input.device)
        input = normalize_channels(input, running_mean, running_var, weight, bias, False, momentum, eps)
        return input, empty, empty, running_mean, running_var
    dims = [0, *range(2, input.ndim)]
    with flow.no_grad():
        mean, deviation = input.mean(dim=dims), reciprocal_deviation(input, dims, eps).flatten()
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * input.var(dim=dims, unbiased=True)
    return (
        normalize_channels(input, None, None, weight, bias, True, momentum, eps),
        mean,
        deviation,
        running_mean,
        running_var,
    )


@operator("aten.group_norm")
@helper
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True):
    """PyTorch's `group_norm`, which OneFlow 0.9.0 has as a module and on CUDA only as a function."""
    if input.numel() == 0:
        return input
    shape = [1, -1] + [1] * (input.ndim - 2)
    grouped = input.reshape(input.shape[0], num_groups, -1)
    input = F.layer_norm(grouped, grouped.shape[-1:], eps=eps).reshape(*input.shape)
    input = input if weight is None else input * weight.reshape(*shape)
    return input if bias is None else input + bias.reshape(*shape)


@operator("aten.native_group_norm")
def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    return (
        group_norm(input, group, weight, bias, eps),
        input.reshape(N, group, -1).mean(dim=2),
        reciprocal_deviation(input.reshape(N, group, -1), [2], eps).squeeze(2),
    )


@operator("aten.instance_norm")
def instance_norm(
    input,
    weight=None,
    bias=None,
    running_mean=None,
    running_var=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-05,
    cudnn_enabled=True,
    *,
    in_shape,
):  # fmt: skip
    if running_mean is None:
        return group_norm(input, in_shape[1], weight, bias, eps)
    if use_input_stats is False:
        return normalize_channels(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return normalize_instances(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@helper
def normalize_instances(x, mean, variance, weight, bias, training, momentum, eps):
    """PyTorch's `instance_norm` with running statistics, which OneFlow 0.9.0's keeps and never uses."""
    if not training:
        return normalize_channels(x, mean, variance, weight, bias, False, momentum, eps)
    dims = list(range(2, x.ndim))
    with flow.no_grad():
        mean.copy_((1 - momentum) * mean + momentum * x.mean(dim=dims).mean(dim=0))
        variance.copy_((1 - momentum) * variance + momentum * x.var(dim=dims, unbiased=True).mean(dim=0))
    return group_norm(x, x.shape[1], weight, bias, eps)


@operator("aten.rms_norm")
@helper
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """PyTorch's `rms_norm`; OneFlow 0.9.0's has no CPU kernel."""
    dims = list(range(-len(normalized_shape), 0))
    eps = flow.finfo(input.dtype).eps if eps is None else eps
    input = input * flow.rsqrt(flow.square(input).mean(dim=dims, keepdim=True) + eps)
    return input if weight is None else input * weight


@operator("aten._fused_rms_norm")
def fused_rms_norm(input, normalized_shape, weight, eps):
    return (
        rms_norm(input, normalized_shape, weight, eps),
        reciprocal_root_mean_square(input, normalized_shape, eps),
    )


@helper
def reciprocal_root_mean_square(x, shape, eps=None):
    """The second result of PyTorch's `rms_norm`."""
    eps = flow.finfo(x.dtype).eps if eps is None else eps
    return flow.rsqrt(flow.square(x).mean(dim=list(range(-len(shape), 0)), keepdim=True) + eps)


@operator("aten._weight_norm")
@helper
def weight_norm(v, g, dim=0):
    """PyTorch's weight normalization: `g * v / |v|`, a norm for each index of one dimension."""
    dims = list(range(v.ndim)) if dim == -1 else [d for d in range(v.ndim) if d != dim]
    return v * (g / flow.linalg.vector_norm(v, dim=dims, keepdim=True))


@operator("aten._weight_norm_interface")
def weight_norm_interface(v, g, dim=0):
    return (
        weight_norm(v, g, dim),
        flow.linalg.vector_norm(v, dim=[d for d in range(v.ndim) if d != dim], keepdim=True),
    )
