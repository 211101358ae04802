"""Convolutions."""

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.conv1d", "aten.conv2d", "aten.conv3d")
def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, name):
    convolve = getattr(F, name)
    options = {"bias": bias, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if input.ndim == weight.ndim - 1:
        return convolve(input.unsqueeze(0), weight, **options).squeeze(0)
    return convolve(input, weight, **options)


@operator("aten.conv1d.padding", "aten.conv2d.padding", "aten.conv3d.padding", "aten._convolution_mode")
@helper
def conv_padding(input, weight, bias=None, stride=1, padding="valid", dilation=1, groups=1):
    """A convolution with `padding="same"` or `"valid"`, which OneFlow 0.9.0's functions don't take."""
    count = weight.ndim - 2
    unbatched = input.ndim == count + 1
    if unbatched:
        input = input.unsqueeze(0)
    if padding == "same":
        dilations = [dilation] * count if isinstance(dilation, int) else list(dilation) * (count // len(dilation))
        totals = [step * (size - 1) for step, size in zip(dilations, weight.shape[2:], strict=True)]
        # The odd one goes to the end, as PyTorch has it.
        input = F.pad(input, [side for total in reversed(totals) for side in (total // 2, total - total // 2)])
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[count]
    input = convolve(input, weight, bias, stride, 0, dilation, groups)
    return input.squeeze(0) if unbatched else input


@operator("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d")
def conv_transpose(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    convolve = getattr(F, f"conv_transpose{weight.ndim - 2}d")
    options = {
        "bias": bias, "stride": stride, "padding": padding, "output_padding": output_padding, "groups": groups,
        "dilation": dilation,
    }  # fmt: skip
    if input.ndim == weight.ndim - 1:
        return convolve(input.unsqueeze(0), weight, **options).squeeze(0)
    return convolve(input, weight, **options)


@operator("aten.convolution", "aten._convolution", "aten.convolution_overrideable")
def convolution(
    input, weight, bias=None, stride=1, padding=0, dilation=1, transposed=False, output_padding=0, groups=1,
    benchmark=False, deterministic=False, cudnn_enabled=False, allow_tf32=False,
):  # fmt: skip
    if transposed:
        return conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return conv(input, weight, bias, stride, padding, dilation, groups, name=f"conv{weight.ndim - 2}d")


@operator("aten.conv_tbc")
def conv_tbc(self, weight, bias, pad=0):
    return flow.permute(F.conv1d(self.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad), (2, 0, 1))
