"""Private bases of PyTorch's layers, by which code asks for a kind of layer. OneFlow's layers share none."""

from __future__ import annotations

import math

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.common import sized
from torch2flow.port.compat.registry import stands_for


class KindOfLayers(type(nn.Module)):  # type: ignore[misc]
    """The type of a class of which all layers of a kind are instances."""

    def __instancecheck__(cls, instance):
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, cls.__dict__.get("kinds", ())) or type.__subclasscheck__(cls, subclass)


@stands_for("torch.nn.modules.conv._ConvNd", because="OneFlow's convolutions have no base of their own.")
class ConvNd(nn.Module, metaclass=KindOfLayers):
    kinds: tuple[type, ...] = (
        nn.Conv1d,
        nn.Conv2d,
        nn.Conv3d,
        nn.ConvTranspose1d,
        nn.ConvTranspose2d,
        nn.ConvTranspose3d,
    )

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups,
        bias, padding_mode,
    ):  # fmt: skip
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.transposed, self.output_padding, self.padding_mode = transposed, output_padding, padding_mode
        ends = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
        self.weight = nn.Parameter(flow.zeros(*ends, *sized((kernel_size,))))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if bias:
            bound = 1 / math.sqrt(self.weight[0].numel())
            self.bias = nn.Parameter(flow.zeros(out_channels).uniform_(-bound, bound))
        else:
            self.register_parameter("bias", None)


@stands_for(
    "torch.nn.modules.conv._ConvTransposeNd",
    "torch.nn.modules.conv._ConvTransposeMixin",
    because="OneFlow's convolutions have no base of their own.",
)
class ConvTransposeNd(ConvNd):
    kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@stands_for("torch.nn.modules.pooling._MaxPoolNd", because="OneFlow's poolings have no base of their own.")
class MaxPoolNd(nn.Module, metaclass=KindOfLayers):
    kinds = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


@stands_for("torch.nn.modules.pooling._AvgPoolNd", because="OneFlow's poolings have no base of their own.")
class AvgPoolNd(nn.Module, metaclass=KindOfLayers):
    kinds = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)


@stands_for("torch.nn.modules.pooling._AdaptiveAvgPoolNd", because="OneFlow's poolings have no base of their own.")
class AdaptiveAvgPoolNd(nn.Module, metaclass=KindOfLayers):
    kinds = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
