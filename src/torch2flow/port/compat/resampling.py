"""Padding, and images of another size or sampled elsewhere."""

from torch2flow.models.lowering.lazy import F, flow, nn
from torch2flow.models.lowering.operators.pooling import pad_by_index
from torch2flow.models.lowering.operators.resampling import nearest_exact, resize_smoothly
from torch2flow.port.compat.registry import stands_for


@stands_for(
    "torch.nn.functional.pad",
    because="OneFlow's has no circular padding, no reflection in three dimensions, and no value for bools.",
    only_with=("mode",),
)
def pad(input, pad, mode="constant", value=None):
    widths = [int(each) for each in pad]
    if mode != "constant":
        return pad_by_index(input, widths, mode)
    if input.dtype == flow.bool:
        return pad_constant(input.to(flow.int32), widths, int(bool(value))).to(flow.bool)
    return pad_constant(input, widths, 0 if value is None else value)


def pad_constant(x, widths, value):
    """Padding with a number; OneFlow 0.9.0 has no tensors without elements."""
    if not any(widths):
        return x.clone()
    if x.numel():
        return F.pad(x, widths, "constant", value)
    sides = [*[0] * (2 * x.ndim - len(widths)), *reversed(widths)]
    shape = [size + sides[2 * axis] + sides[2 * axis + 1] for axis, size in enumerate(x.shape)]
    return flow.full(shape, value, dtype=x.dtype, device=x.device)


@stands_for(
    "torch.nn.functional.interpolate",
    because="OneFlow's has no mode `nearest-exact` and no `antialias`.",
    only_with=("antialias", "mode=nearest-exact"),
)
def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
    antialias=False,
):  # fmt: skip
    dims = input.ndim - 2
    if size is not None:
        size = [int(size)] * dims if isinstance(size, int) or not hasattr(size, "__iter__") else [int(n) for n in size]
    if mode == "nearest-exact" or antialias:
        factors = None
        if size is None:
            factors = [scale_factor] * dims if isinstance(scale_factor, int | float) else list(scale_factor)
            size = [int(length * factor) for length, factor in zip(input.shape[2:], factors, strict=True)]
        if recompute_scale_factor:
            factors = None
        if antialias:
            return resize_smoothly(input, size, bool(align_corners), factors, mode)
        return nearest_exact(input, size, factors)
    size = size[0] if size is not None and dims == 1 else size
    return F.interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor)


@stands_for("torch.nn.functional.upsample", because="OneFlow's is a class.")
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    return interpolate(input, size, scale_factor, mode, align_corners)


@stands_for("torch.nn.functional.upsample_nearest", because="OneFlow has no `upsample_nearest`.")
def upsample_nearest(input, size=None, scale_factor=None):
    return interpolate(input, size, scale_factor)


@stands_for("torch.nn.functional.upsample_bilinear", because="OneFlow has no `upsample_bilinear`.")
def upsample_bilinear(input, size=None, scale_factor=None):
    return interpolate(input, size, scale_factor, "bilinear", True)


@stands_for(
    "torch.nn.functional.unfold",
    because="OneFlow's takes no keyword `input=`, and wants a batch.",
    only_with=("input",),
)
def unfold_patches(input, kernel_size, dilation=1, padding=0, stride=1):
    if input.ndim == 3:
        return F.unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    return F.unfold(input, kernel_size, dilation, padding, stride)


@stands_for("torch.nn.functional.fold", because="OneFlow's takes no single number as `output_size`, and wants a batch.")
def fold_patches(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    output_size = (output_size, output_size) if isinstance(output_size, int) else output_size
    if input.ndim == 2:
        return F.fold(input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    return F.fold(input, output_size, kernel_size, dilation, padding, stride)


@stands_for("torch.nn.Fold", because="OneFlow's takes no single number as `output_size`, and wants a batch.")
class Fold(nn.Module):
    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input):
        return fold_patches(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        sizes = f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}"
        return f"{sizes}, padding={self.padding}, stride={self.stride}"
