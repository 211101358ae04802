"""Copied into ported code with layers that PyTorch also calls without a batch: a vector for `Linear`, one image."""

from __future__ import annotations

import functools
from typing import Any

from torch2flow.models.lowering.lazy import nn

DIMENSIONS = {
    "Linear": 1, "LayerNorm": 0, "PReLU": 1,
    "Conv1d": 2, "Conv2d": 3, "Conv3d": 4, "ConvTranspose1d": 2, "ConvTranspose2d": 3, "ConvTranspose3d": 4,
    "MaxPool1d": 2, "MaxPool2d": 3, "MaxPool3d": 4, "AvgPool1d": 2, "AvgPool2d": 3, "AvgPool3d": 4,
    "AdaptiveAvgPool1d": 2, "AdaptiveAvgPool2d": 3, "AdaptiveAvgPool3d": 4,
}  # fmt: skip
"""The dimensions of one sample; those of `LayerNorm` are its own."""


def take_samples_without_batch() -> None:
    """Lets OneFlow's layers take one sample: it is a batch of one in between. And have PyTorch's attributes."""
    for name, count in DIMENSIONS.items():
        kind = getattr(nn, name)
        if not hasattr(kind.forward, "__wrapped__"):
            forward = _with_a_frozen_weight(kind.forward) if "Transpose" in name else kind.forward
            kind.forward = _of_a_sample(forward, count)
        if name.startswith("Conv"):
            kind.transposed = "Transpose" in name
            if kind.transposed:
                kind.in_channels, kind.out_channels, kind.padding_mode = _Channels(0), _Channels(1), "zeros"
            else:
                kind.output_padding = (0,) * (count - 1)


class _Channels:
    """How many channels go into a transposed convolution, or come out; OneFlow's does not keep the numbers."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def __get__(self, layer: Any, kind: type) -> Any:
        if layer is None:
            return self
        return layer.weight.shape[self.dimension] * (layer.groups if self.dimension else 1)


def _of_a_sample(forward: Any, count: int) -> Any:
    @functools.wraps(forward)
    def of_a_sample(self: Any, input: Any, *args: Any, **named: Any) -> Any:
        if input.ndim != (count or len(self.normalized_shape)):
            return forward(self, input, *args, **named)
        found = forward(self, input.unsqueeze(0), *args, **named)
        return tuple(each.squeeze(0) for each in found) if isinstance(found, tuple) else found.squeeze(0)

    return of_a_sample


def _with_a_frozen_weight(forward: Any) -> Any:
    """Backward, OneFlow 0.9.0 ends the process where the input has a gradient and the weight has none."""

    def with_a_frozen_weight(self: Any, input: Any, *args: Any, **named: Any) -> Any:
        if not input.requires_grad or self.weight.requires_grad:
            return forward(self, input, *args, **named)
        vars(self)["weight"] = self.weight.detach().requires_grad_()  # is found before the parameter
        try:
            return forward(self, input, *args, **named)
        finally:
            del vars(self)["weight"]

    return with_a_frozen_weight
