"""Layers as functions: linear, convolutions, pooling, padding, embeddings, normalizations, attention."""

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.models.lowering.operators.attention import scaled_dot_product_attention
from torch2flow.models.lowering.operators.convolution import conv_padding
from torch2flow.models.lowering.operators.embedding import largest_of_bags, sum_of_bags
from torch2flow.models.lowering.operators.linear_algebra import bilinear
from torch2flow.models.lowering.operators.normalization import group_norm, normalize_channels, normalize_last, rms_norm
from torch2flow.models.lowering.operators.pooling import spread_to
from torch2flow.port.compat.linear_algebra import matmul
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.nn.functional.linear",
    because="OneFlow's is silently wrong for a vector, and ends the process for no elements.",
)
def linear(input, weight, bias=None):
    if input.ndim > 1 and input.numel():
        return F.linear(input, weight, bias)
    product = matmul(input, weight.transpose(0, 1))
    return product if bias is None else product + bias


stands_for("torch.nn.functional.bilinear", because="OneFlow has no `bilinear`.")(bilinear)


def convolution(name):
    """The convolution of that name, of one sample too, and with the paddings `same` and `valid`."""

    def convolve(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        return convolved(getattr(F, name), input, weight, bias, stride, padding, dilation, groups)

    convolve.__name__ = convolve.__qualname__ = name
    return convolve


conv1d = convolution("conv1d")
conv2d = convolution("conv2d")
conv3d = convolution("conv3d")

for _convolve in (conv1d, conv2d, conv3d):
    stands_for(
        f"torch.nn.functional.{_convolve.__name__}",
        f"torch.{_convolve.__name__}",
        because="OneFlow's wants a batch, and no padding `same` or `valid`.",
        only_with=("padding=same", "padding=valid"),
    )(_convolve)


def convolved(convolve, x, weight, bias, stride, padding, dilation, groups):
    """A convolution, of one sample too."""
    if isinstance(padding, str):
        return conv_padding(x, weight, bias, stride, padding, dilation, groups)
    if x.ndim == weight.ndim - 1:
        return convolve(x.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    return convolve(x, weight, bias, stride, padding, dilation, groups)


def transposed_convolution(name):
    """The transposed convolution of that name, of one sample too."""

    def convolve(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        return convolved_back(getattr(F, name), input, weight, bias, stride, padding, output_padding, groups, dilation)

    convolve.__name__ = convolve.__qualname__ = name
    return convolve


def convolved_back(convolve, x, weight, *options):
    """A transposed convolution, of one sample too.

    Backward, OneFlow 0.9.0 ends the process where the input has a gradient and the weight has none.
    """
    if x.requires_grad and not weight.requires_grad:
        weight = weight.detach().requires_grad_()
    if x.ndim == weight.ndim - 1:
        return convolve(x.unsqueeze(0), weight, *options).squeeze(0)
    return convolve(x, weight, *options)


conv_transpose1d = transposed_convolution("conv_transpose1d")
conv_transpose2d = transposed_convolution("conv_transpose2d")
conv_transpose3d = transposed_convolution("conv_transpose3d")

for _convolve in (conv_transpose1d, conv_transpose2d, conv_transpose3d):
    _names = f"torch.nn.functional.{_convolve.__name__}", f"torch.{_convolve.__name__}"
    stands_for(*_names, because="OneFlow's ends the process backward where the weight has no gradient.")(_convolve)


def max_pooling(name, ndim):
    """The max pooling of that name, of one sample too; a batch has that many dimensions."""

    def pool(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        options = {"stride": stride or None, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        x = input if input.ndim == ndim else input.unsqueeze(0)
        found = getattr(F, name)(x, plain(kernel_size), return_indices=return_indices, **options)
        if x is input:
            return found
        return tuple(each.squeeze(0) for each in found) if return_indices else found.squeeze(0)

    pool.__name__ = pool.__qualname__ = name
    return pool


max_pool1d = max_pooling("max_pool1d", 3)
max_pool2d = max_pooling("max_pool2d", 4)
max_pool3d = max_pooling("max_pool3d", 5)

for _pool in (max_pool1d, max_pool2d, max_pool3d):
    stands_for(
        f"torch.nn.functional.{_pool.__name__}",
        f"torch.{_pool.__name__}",
        because="OneFlow's orders arguments otherwise, wants a batch.",
        only_with=("input", "ceil_mode", "return_indices"),
    )(_pool)


def plain(size):
    """A size as OneFlow takes it: a number or a tuple of numbers."""
    return int(size) if isinstance(size, int) or not hasattr(size, "__iter__") else tuple(int(each) for each in size)


@stands_for("torch.nn.functional.avg_pool1d", "torch.avg_pool1d", because="OneFlow's wants a batch.", only_with=())
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    options = {"stride": stride or None, "padding": padding, "ceil_mode": ceil_mode}
    x = input if input.ndim == 3 else input.unsqueeze(0)
    found = F.avg_pool1d(x, plain(kernel_size), count_include_pad=count_include_pad, **options)
    return found if input.ndim == 3 else found.squeeze(0)


@stands_for(
    "torch.nn.functional.avg_pool2d",
    because="OneFlow's wants a batch, and a number as `divisor_override`.",
    only_with=("divisor_override",),
)
def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    options = (stride or None, padding, ceil_mode, count_include_pad, divisor_override)
    return mean_of_windows(F.avg_pool2d, input, 4, kernel_size, *options)


@stands_for(
    "torch.nn.functional.avg_pool3d",
    because="OneFlow's wants a batch, and a number as `divisor_override`.",
    only_with=("divisor_override",),
)
def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    options = (stride or None, padding, ceil_mode, count_include_pad, divisor_override)
    return mean_of_windows(F.avg_pool3d, input, 5, kernel_size, *options)


def mean_of_windows(pool, x, ndim, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """Average pooling, of one sample too."""
    stride, padding = (
        each[0] if isinstance(each, list | tuple) and len(each) == 1 else each for each in (stride, padding)
    )
    options = {
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor_override or 0,
    }
    if x.ndim == ndim:
        return pool(x, plain(kernel_size), **options)
    return pool(x.unsqueeze(0), plain(kernel_size), **options).squeeze(0)


@stands_for(
    "torch.nn.functional.adaptive_avg_pool1d",
    "torch.adaptive_avg_pool1d",
    because="OneFlow's ends the process without a batch.",
    only_with=(),
)
def adaptive_avg_pool1d(input, output_size):
    return pooled_to(F.adaptive_avg_pool1d, input, 1, output_size)


@stands_for(
    "torch.nn.functional.adaptive_avg_pool2d",
    because="OneFlow's ends the process without a batch, and takes no None for a size.",
    only_with=(),
)
def adaptive_avg_pool2d(input, output_size):
    return pooled_to(F.adaptive_avg_pool2d, input, 2, output_size)


@stands_for(
    "torch.nn.functional.adaptive_avg_pool3d",
    because="OneFlow's ends the process without a batch, and takes no None for a size.",
    only_with=(),
)
def adaptive_avg_pool3d(input, output_size):
    return pooled_to(F.adaptive_avg_pool3d, input, 3, output_size)


@stands_for(
    "torch.nn.functional.adaptive_max_pool1d", because="OneFlow's ends the process without a batch.", only_with=()
)
def adaptive_max_pool1d(input, output_size, return_indices=False):
    return pooled_to(F.adaptive_max_pool1d, input, 1, output_size, return_indices)


@stands_for(
    "torch.nn.functional.adaptive_max_pool2d",
    because="OneFlow's ends the process without a batch, and takes no None for a size.",
    only_with=(),
)
def adaptive_max_pool2d(input, output_size, return_indices=False):
    return pooled_to(F.adaptive_max_pool2d, input, 2, output_size, return_indices)


@stands_for(
    "torch.nn.functional.adaptive_max_pool3d",
    because="OneFlow's ends the process without a batch, and takes no None for a size.",
    only_with=(),
)
def adaptive_max_pool3d(input, output_size, return_indices=False):
    return pooled_to(F.adaptive_max_pool3d, input, 3, output_size, return_indices)


def pooled_to(pool, x, dims, output_size, return_indices=None):
    """Adaptive pooling, of one sample too; None keeps a size."""
    sizes = [output_size] * dims if output_size is None or isinstance(output_size, int) else list(output_size)
    sizes = [own if size is None else int(size) for size, own in zip(sizes, x.shape[-dims:], strict=True)]
    options = () if return_indices is None else (return_indices,)
    size = sizes[0] if dims == 1 else sizes
    if x.ndim == dims + 2:
        return pool(x, size, *options)
    found = pool(x.unsqueeze(0), size, *options)
    return tuple(each.squeeze(0) for each in found) if return_indices else found.squeeze(0)


@stands_for("torch.nn.functional.lp_pool1d", because="OneFlow has no `lp_pool1d`.")
def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    pooled = avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return (flow.sign(pooled) * F.relu(flow.abs(pooled)) * kernel_size) ** (1.0 / norm_type)


@stands_for("torch.nn.functional.lp_pool2d", because="OneFlow has no `lp_pool2d`.")
def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    pooled = avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return (flow.sign(pooled) * F.relu(flow.abs(pooled)) * height * width) ** (1.0 / norm_type)


@stands_for("torch.nn.functional.max_unpool2d", because="OneFlow's has no default stride.")
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    kernel, step, edge = (
        [each, each] if isinstance(each, int) else list(each) for each in (kernel_size, stride or kernel_size, padding)
    )
    if output_size is None:
        output_size = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(input.shape[-2:], step, edge, kernel, strict=True)]
    return spread_to(input, indices, tuple(output_size)[-2:])


@stands_for(
    "torch.nn.functional.embedding",
    because="OneFlow's takes no keyword arguments of PyTorch's and no scalar.",
    only_with=("max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
)
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    if max_norm is not None:
        with flow.no_grad():
            rows = flow.unique(input.reshape(-1)).to(flow.int64)
            norms = flow.linalg.vector_norm(weight[rows], norm_type, 1, True)
            weight[rows] = flow.where(norms > max_norm, weight[rows] * (max_norm / (norms + 1e-7)), weight[rows])
    if padding_idx is not None:
        return F.embedding(input, weight, padding_idx % weight.shape[0], scale_grad_by_freq=scale_grad_by_freq)
    return F.embedding(input, weight, scale_grad_by_freq=scale_grad_by_freq)


@stands_for("torch.nn.functional.embedding_bag", because="OneFlow has no `embedding_bag`.")
def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    if input.ndim == 2:
        offsets = flow.arange(0, input.numel(), input.shape[1], device=input.device)
        input = input.reshape(-1)
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    if mode == "max":
        return largest_of_bags(weight, input, offsets, include_last_offset, padding_idx)
    return sum_of_bags(
        weight, input, offsets, int(mode == "mean"), per_sample_weights, include_last_offset, padding_idx
    )


@stands_for(
    "torch.nn.functional.layer_norm",
    "torch.layer_norm",
    because="OneFlow's silently ignores a weight without a bias, and a bias without a weight.",
)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    shape = tuple(normalized_shape)
    if len(shape) == input.ndim:
        return normalize_last(input.unsqueeze(0), shape, weight, bias, eps).squeeze(0)
    if (weight is None) == (bias is None):
        return F.layer_norm(input, shape, weight=weight, bias=bias, eps=eps)
    return normalize_last(input, shape, weight, bias, eps)


@stands_for(
    "torch.nn.functional.batch_norm",
    because="OneFlow's silently ignores a weight without a bias, and wants running statistics.",
)
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if running_mean is None or (weight is None) != (bias is None):
        return normalize_channels(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return F.batch_norm(
        input, running_mean, running_var, weight=weight, bias=bias, training=training, momentum=momentum, eps=eps
    )


stands_for("torch.nn.functional.group_norm", "torch.group_norm", because="OneFlow has the module alone.")(group_norm)


@stands_for("torch.nn.functional.instance_norm", because="OneFlow has the module alone.")
def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    if not use_input_stats:
        return normalize_channels(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is not None:
        with flow.no_grad():
            dims = list(range(2, input.ndim))
            mean, variance = input.mean(dim=dims).mean(dim=0), input.var(dim=dims).mean(dim=0)
            running_mean[...] = (1 - momentum) * running_mean + momentum * mean
            running_var[...] = (1 - momentum) * running_var + momentum * variance
    return group_norm(input, input.shape[1], weight, bias, eps)


stands_for("torch.nn.functional.rms_norm", because="OneFlow's has no kernel for CPUs.")(rms_norm)


@stands_for("torch.nn.functional.local_response_norm", because="OneFlow has no `local_response_norm`.")
def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    squares = flow.square(input)
    shape = list(input.shape)
    before, after = (
        flow.zeros([shape[0], count, *shape[2:]], dtype=input.dtype, device=input.device)
        for count in (size // 2, (size - 1) // 2)
    )
    padded = flow.cat([each for each in (before, squares, after) if each.shape[1]], dim=1)
    total = sum(padded.narrow(1, place, shape[1]) for place in range(size))
    return input / (k + alpha / size * total) ** beta


@stands_for(
    "torch.nn.functional.normalize", because="OneFlow's takes no `out=`, and fails for some powers.", only_with=("out",)
)
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    return input / flow.clamp(flow.linalg.vector_norm(input, p, dim, True), min=eps)


@stands_for("torch.nn.functional.pairwise_distance", "torch.pairwise_distance", because="OneFlow's is less exact.")
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return flow.linalg.vector_norm(x1 - x2 + eps, p, -1, keepdim)


stands_for(
    "torch.nn.functional.scaled_dot_product_attention", because="OneFlow has no `scaled_dot_product_attention`."
)(scaled_dot_product_attention)
