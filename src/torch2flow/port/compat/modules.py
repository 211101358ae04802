"""Classes of `torch.nn` that OneFlow has without an argument of PyTorch's, or with another result.

They carry PyTorch's names, since code asks a module for the name of its class.
"""
# ruff: noqa: RUF012

from torch2flow.models.lowering.lazy import F, flow, nn
from torch2flow.models.lowering.operators.pooling import pad_by_index
from torch2flow.port.compat.activations import dropout_of_channels
from torch2flow.port.compat.layers import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    convolved,
    convolved_back,
    embedding,
    instance_norm,
    layer_norm,
    linear,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from torch2flow.port.compat.registry import stands_for
from torch2flow.port.compat.resampling import interpolate

PLACES = "OneFlow's takes no `device=` and no `dtype=`"


def placed(module, device=None, dtype=None):
    """Moves a new module to a device and a dtype."""
    if device is not None:
        module.to(flow.device(device) if isinstance(device, str) else device)
    if dtype is not None and dtype != flow.float32:
        module.to(dtype)


def edges_of(padding):
    """Padding of each side as `F.pad` takes it, from padding of each dimension."""
    return [side for each in reversed(padding) for side in (each, each)]


@stands_for(
    "torch.nn.Linear", because="OneFlow's takes no vector, no `device=` and no `dtype=`.", only_with=("device", "dtype")
)
class Linear(nn.Linear):
    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__(in_features, out_features, bias)
        placed(self, device, dtype)

    def forward(self, input):
        return linear(input, self.weight, self.bias)


class PaddedConvolution:
    """What the three classes of convolutions share: every kind of padding, and inputs without a batch."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.padding_mode = padding_mode
        placed(self, device, dtype)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad_by_index(input, edges_of(padding), self.padding_mode), 0
        convolve = getattr(F, f"conv{self.weight.ndim - 2}d")
        return convolved(convolve, input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


@stands_for(
    "torch.nn.Conv1d",
    because="OneFlow's wants a batch, and takes no `padding_mode`, `device` or `dtype`.",
    only_with=("padding_mode", "device", "dtype"),
)
class Conv1d(PaddedConvolution, nn.Conv1d):
    pass


@stands_for(
    "torch.nn.Conv2d",
    because="OneFlow's wants a batch, and takes no `padding_mode`, `device` or `dtype`.",
    only_with=("padding_mode", "device", "dtype"),
)
class Conv2d(PaddedConvolution, nn.Conv2d):
    pass


@stands_for(
    "torch.nn.Conv3d",
    because="OneFlow's wants a batch, and takes no `padding_mode`, `device` or `dtype`.",
    only_with=("padding_mode", "device", "dtype"),
)
class Conv3d(PaddedConvolution, nn.Conv3d):
    pass


class TransposedConvolution:
    """What the three classes of transposed convolutions share: an output size, and inputs without a batch."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation
        )
        placed(self, device, dtype)

    def forward(self, input, output_size=None):
        dims = self.weight.ndim - 2
        stride, padding, dilation, kernel, extra = (
            [each] * dims if isinstance(each, int) else list(each)
            for each in (self.stride, self.padding, self.dilation, self.kernel_size, self.output_padding)
        )
        if output_size is not None:
            smallest = [
                (input.shape[d - dims] - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel[d] - 1) + 1
                for d in range(dims)
            ]
            extra = [size - least for size, least in zip(list(output_size)[-dims:], smallest, strict=True)]
        convolve = getattr(F, f"conv_transpose{dims}d")
        return convolved_back(convolve, input, self.weight, self.bias, stride, padding, extra, self.groups, dilation)


@stands_for("torch.nn.ConvTranspose1d", because=f"{PLACES}, and no `output_size`.", only_with=("device", "dtype"))
class ConvTranspose1d(TransposedConvolution, nn.ConvTranspose1d):
    pass


@stands_for("torch.nn.ConvTranspose2d", because=f"{PLACES}, and no `output_size`.", only_with=("device", "dtype"))
class ConvTranspose2d(TransposedConvolution, nn.ConvTranspose2d):
    pass


@stands_for("torch.nn.ConvTranspose3d", because=f"{PLACES}, and no `output_size`.", only_with=("device", "dtype"))
class ConvTranspose3d(TransposedConvolution, nn.ConvTranspose3d):
    pass


class NormOverBatches:
    """What the three classes of batch normalization share: a device, a dtype, and the mean over all batches so far."""

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        placed(self, device, dtype)

    def forward(self, input):
        counts = self.training and self.track_running_stats
        if counts:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # The mean over all batches so far.
            momentum = 1.0 / self.num_batches_tracked.item() if counts else 0.0
        training = self.training or self.running_mean is None
        mean, var = (self.running_mean, self.running_var) if self.track_running_stats else (None, None)
        return batch_norm(input, mean, var, self.weight, self.bias, training, momentum, self.eps)


@stands_for(
    "torch.nn.BatchNorm1d", because=f"{PLACES}, and no `momentum=None`.", only_with=("momentum=None", "device", "dtype")
)
class BatchNorm1d(NormOverBatches, nn.BatchNorm1d):
    pass


@stands_for(
    "torch.nn.BatchNorm2d", because=f"{PLACES}, and no `momentum=None`.", only_with=("momentum=None", "device", "dtype")
)
class BatchNorm2d(NormOverBatches, nn.BatchNorm2d):
    pass


@stands_for(
    "torch.nn.BatchNorm3d", because=f"{PLACES}, and no `momentum=None`.", only_with=("momentum=None", "device", "dtype")
)
class BatchNorm3d(NormOverBatches, nn.BatchNorm3d):
    pass


class NormOfInstances:
    """What the three classes of instance normalization share: a device, a dtype, and statistics that are used."""

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        placed(self, device, dtype)

    def forward(self, input):
        own = self.training or not self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if self.track_running_stats else (None, None)
        return instance_norm(input, mean, var, self.weight, self.bias, own, self.momentum or 0.0, self.eps)


@stands_for(
    "torch.nn.InstanceNorm1d",
    because=f"{PLACES}, and never uses its running statistics.",
    only_with=("track_running_stats=True", "device", "dtype"),
)
class InstanceNorm1d(NormOfInstances, nn.InstanceNorm1d):
    pass


@stands_for(
    "torch.nn.InstanceNorm2d",
    because=f"{PLACES}, and never uses its running statistics.",
    only_with=("track_running_stats=True", "device", "dtype"),
)
class InstanceNorm2d(NormOfInstances, nn.InstanceNorm2d):
    pass


@stands_for(
    "torch.nn.InstanceNorm3d",
    because=f"{PLACES}, and never uses its running statistics.",
    only_with=("track_running_stats=True", "device", "dtype"),
)
class InstanceNorm3d(NormOfInstances, nn.InstanceNorm3d):
    pass


@stands_for(
    "torch.nn.LayerNorm",
    because=f"{PLACES}, no `bias=`, and no input of its own shape alone.",
    only_with=("bias", "device", "dtype"),
)
class LayerNorm(nn.LayerNorm):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__(normalized_shape, eps, elementwise_affine)
        if not bias:
            self.register_parameter("bias", None)
        placed(self, device, dtype)

    def forward(self, input):
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


@stands_for("torch.nn.GroupNorm", because=f"{PLACES}.", only_with=("device", "dtype"))
class GroupNorm(nn.GroupNorm):
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None):
        super().__init__(num_groups, num_channels, eps, affine)
        placed(self, device, dtype)


@stands_for(
    "torch.nn.Embedding",
    because=f"{PLACES}, no `max_norm`, and has no `from_pretrained`.",
    only_with=("max_norm", "norm_type", "sparse", "device", "dtype"),
)
class Embedding(nn.Embedding):
    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0,
        scale_grad_by_freq=False, sparse=False, _weight=None, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(num_embeddings, embedding_dim, padding_idx, None, None, scale_grad_by_freq, False, _weight)
        self.max_norm, self.norm_type, self.sparse = max_norm, norm_type, sparse
        placed(self, device, dtype)

    def forward(self, input):
        return embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False,
    ):  # fmt: skip
        rows, columns = embeddings.shape
        made = cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, device=embeddings.device
        )
        made.weight = nn.Parameter(embeddings.detach(), requires_grad=not freeze)
        return made


@stands_for("torch.nn.Embedding.from_pretrained", because="OneFlow has no `from_pretrained`.")
def embedding_of(embeddings, *args, **named):
    return Embedding.from_pretrained(embeddings, *args, **named)


class RecurrentLayers:
    """What the three classes of recurrent layers share: a device, a dtype, and `flatten_parameters`."""

    def __init__(self, *args, device=None, dtype=None, **named):
        super().__init__(*args, **named)
        placed(self, device, dtype)

    def flatten_parameters(self):
        """Nothing: OneFlow lays out no weights for cuDNN."""


@stands_for("torch.nn.LSTM", because=f"{PLACES}, and has no `flatten_parameters`.")
class LSTM(RecurrentLayers, nn.LSTM):
    pass


@stands_for("torch.nn.GRU", because=f"{PLACES}, and has no `flatten_parameters`.")
class GRU(RecurrentLayers, nn.GRU):
    pass


@stands_for("torch.nn.RNN", because=f"{PLACES}, and has no `flatten_parameters`.")
class RNN(RecurrentLayers, nn.RNN):
    pass


class MaxPoolOfSamples:
    """What the three classes of max pooling share: inputs without a batch, and sizes as they were given."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__(kernel_size, stride, padding, dilation, return_indices, ceil_mode)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input):
        options = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        return self.pool(input, *options)


@stands_for("torch.nn.MaxPool1d", because="OneFlow's wants a batch.", only_with=())
class MaxPool1d(MaxPoolOfSamples, nn.MaxPool1d):
    pool = staticmethod(max_pool1d)


@stands_for(
    "torch.nn.MaxPool2d", because="OneFlow's ends the process without a batch, and keeps sizes as pairs.", only_with=()
)
class MaxPool2d(MaxPoolOfSamples, nn.MaxPool2d):
    pool = staticmethod(max_pool2d)


@stands_for("torch.nn.MaxPool3d", because="OneFlow's wants a batch.", only_with=())
class MaxPool3d(MaxPoolOfSamples, nn.MaxPool3d):
    pool = staticmethod(max_pool3d)


@stands_for("torch.nn.AvgPool1d", because="OneFlow's wants a batch.", only_with=())
class AvgPool1d(nn.AvgPool1d):
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.pooling = kernel_size, stride, padding, ceil_mode, count_include_pad

    def forward(self, input):
        return avg_pool1d(input, *self.pooling)


class MeanPoolOfSamples:
    """What two classes of average pooling share: inputs without a batch, and sizes as they were given."""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override or 0)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input):
        options = self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        return self.pool(input, self.kernel_size, self.stride, *options)


@stands_for(
    "torch.nn.AvgPool2d", because="OneFlow's wants a batch, and keeps sizes as pairs.", only_with=("divisor_override",)
)
class AvgPool2d(MeanPoolOfSamples, nn.AvgPool2d):
    pool = staticmethod(avg_pool2d)


@stands_for("torch.nn.AvgPool3d", because="OneFlow's wants a batch.", only_with=("divisor_override",))
class AvgPool3d(MeanPoolOfSamples, nn.AvgPool3d):
    pool = staticmethod(avg_pool3d)


@stands_for("torch.nn.AdaptiveAvgPool1d", because="OneFlow's wants a batch.", only_with=())
class AdaptiveAvgPool1d(nn.AdaptiveAvgPool1d):
    def forward(self, input):
        return adaptive_avg_pool1d(input, self.output_size)


@stands_for("torch.nn.AdaptiveAvgPool2d", because="OneFlow's wants a batch.", only_with=())
class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    def forward(self, input):
        return adaptive_avg_pool2d(input, self.output_size)


@stands_for("torch.nn.AdaptiveAvgPool3d", because="OneFlow's wants a batch.", only_with=())
class AdaptiveAvgPool3d(nn.AdaptiveAvgPool3d):
    def forward(self, input):
        return adaptive_avg_pool3d(input, self.output_size)


@stands_for("torch.nn.Dropout1d", because="OneFlow's takes no probability at all.")
class Dropout1d(nn.Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        self.p, self.inplace = p, inplace

    def forward(self, input):
        return dropout_of_channels(input, self.p, self.training, self.inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


@stands_for("torch.nn.Dropout2d", because="OneFlow's takes no probability at all.")
class Dropout2d(Dropout1d):
    pass


@stands_for("torch.nn.Dropout3d", because="OneFlow's takes no probability at all.")
class Dropout3d(Dropout1d):
    pass


@stands_for(
    "torch.nn.Upsample",
    because="OneFlow's has no mode `nearest-exact` and no `recompute_scale_factor`.",
    only_with=("mode=nearest-exact", "recompute_scale_factor"),
)
class Upsample(nn.Module):
    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = tuple(map(float, scale_factor)) if isinstance(scale_factor, tuple) else scale_factor
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        return interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )


@stands_for("torch.nn.UpsamplingBilinear2d", because="OneFlow's is less exact.", only_with=())
class UpsamplingBilinear2d(Upsample):
    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "bilinear", True)


@stands_for("torch.nn.Threshold", because="OneFlow's takes no `inplace`.", only_with=("inplace",))
class Threshold(nn.Threshold):
    def __init__(self, threshold, value, inplace=False):
        super().__init__(threshold, value)


@stands_for("torch.nn.ReflectionPad3d", because="OneFlow has no `ReflectionPad3d`.")
class ReflectionPad3d(nn.Module):
    mode = "reflect"
    sides = 6

    def __init__(self, padding):
        super().__init__()
        self.padding = (padding,) * self.sides if isinstance(padding, int) else tuple(padding)

    def forward(self, input):
        return pad_by_index(input, self.padding, self.mode)

    def extra_repr(self):
        return str(self.padding)


@stands_for("torch.nn.ReplicationPad3d", because="OneFlow has no `ReplicationPad3d`.")
class ReplicationPad3d(ReflectionPad3d):
    mode = "replicate"


@stands_for("torch.nn.CircularPad1d", because="OneFlow has no circular padding.")
class CircularPad1d(ReflectionPad3d):
    mode, sides = "circular", 2


@stands_for("torch.nn.CircularPad2d", because="OneFlow has no circular padding.")
class CircularPad2d(ReflectionPad3d):
    mode, sides = "circular", 4


@stands_for("torch.nn.CircularPad3d", because="OneFlow has no circular padding.")
class CircularPad3d(ReflectionPad3d):
    mode = "circular"
