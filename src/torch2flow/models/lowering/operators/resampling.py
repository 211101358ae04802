"""Images of another size, sampled elsewhere, or cut into patches."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec")
def upsample_nearest_vec(input, output_size, scale_factors):
    return resized(input, "nearest", output_size, scale_factors)


@operator(
    "aten.upsample_linear1d.vec", "aten.upsample_bilinear2d.vec", "aten.upsample_bicubic2d.vec",
    "aten.upsample_trilinear3d.vec",
)  # fmt: skip
def upsample_vec(input, output_size, align_corners, scale_factors, *, name):
    return resized(input, mode_of(name), output_size, scale_factors, align_corners=align_corners)


@operator("aten.upsample_nearest1d", "aten.upsample_nearest2d", "aten.upsample_nearest3d")
def upsample_nearest(self, output_size, scales=None, scales_d=None, scales_h=None, scales_w=None):
    return resized(self, "nearest", output_size, given_of(scales, scales_d, scales_h, scales_w))


@operator("aten.upsample_linear1d", "aten.upsample_bilinear2d", "aten.upsample_bicubic2d", "aten.upsample_trilinear3d")
def upsample(self, output_size, align_corners, scales=None, scales_d=None, scales_h=None, scales_w=None, *, name):
    factors = given_of(scales, scales_d, scales_h, scales_w)
    return resized(self, mode_of(name), output_size, factors, align_corners=align_corners)


def resized(x, mode, size, factors, **options):
    """`F.interpolate` by the factors, which count where PyTorch gives both, or to a size."""
    if x.dtype == flow.uint8 and mode == "nearest":
        return resized(x.to(flow.float32), mode, size, factors, **options).to(flow.uint8)
    if not factors:
        return F.interpolate(x, size=size, mode=mode, **options)
    same = all(factor == factors[0] for factor in factors)
    return F.interpolate(x, scale_factor=factors[0] if same else factors, mode=mode, **options)


def mode_of(name):
    """`bilinear` for `upsample_bilinear2d` and for `_upsample_bilinear2d_aa`."""
    return name.strip("_").split("_")[1][:-2]


def given_of(*factors):
    """The factors that are given."""
    return tuple(factor for factor in factors if factor is not None)


@operator(
    "aten._upsample_nearest_exact1d.vec", "aten._upsample_nearest_exact2d.vec", "aten._upsample_nearest_exact3d.vec"
)
def upsample_nearest_exact_vec(input, output_size, scale_factors):
    return nearest_exact(input, output_size, scale_factors)


@operator("aten._upsample_nearest_exact1d", "aten._upsample_nearest_exact2d", "aten._upsample_nearest_exact3d")
def upsample_nearest_exact(self, output_size, scales=None, scales_d=None, scales_h=None, scales_w=None):
    return nearest_exact(self, output_size, given_of(scales, scales_d, scales_h, scales_w) or None)


@helper
def nearest_exact(x, size, factors=None):
    """PyTorch's interpolation `nearest-exact`: the pixel whose centre is nearest."""
    for place, length in enumerate(new_sizes(x, size, factors)):
        factor = 1 / factors[place] if factors else x.shape[place + 2] / length
        centre = (flow.arange(length, device=x.device).to(flow.float32) + 0.5) * factor
        index = flow.clamp(flow.floor(centre).to(flow.int64), max=x.shape[place + 2] - 1)
        x = flow.index_select(x, place + 2, index)
    return x


@helper
def new_sizes(x, size, factors):
    """The height and width to resize to, by the factors where no size is given; one number is equal."""
    if size is None:
        return [int(x.shape[place + 2] * factor) for place, factor in enumerate(factors)]
    return [size] * (x.ndim - 2) if isinstance(size, int) else size


@operator("aten._upsample_bilinear2d_aa.vec", "aten._upsample_bicubic2d_aa.vec")
def upsample_smoothly_vec(input, output_size, align_corners, scale_factors, *, name):
    if input.dtype == flow.uint8:
        raise NotImplementedError("a smooth resize of uint8, which PyTorch rounds in steps of its own: make it float")
    return resize_smoothly(input, output_size, align_corners, scale_factors, mode_of(name))


@operator("aten._upsample_bilinear2d_aa", "aten._upsample_bicubic2d_aa")
def upsample_smoothly(self, output_size, align_corners, scales_h=None, scales_w=None, *, name):
    return resize_smoothly(self, output_size, align_corners, given_of(scales_h, scales_w) or None, mode_of(name))


@helper
def resize_smoothly(x, size, align_corners, factors, mode):
    """PyTorch's interpolation with `antialias=True`: a product with a matrix of weights for each dimension."""
    size = new_sizes(x, size, factors)
    rows = smoothing_matrix(x.shape[2], size[0], align_corners, factors and factors[0], mode)
    columns = smoothing_matrix(x.shape[3], size[1], align_corners, factors and factors[1], mode)
    rows, columns = (
        flow.tensor(rows, dtype=x.dtype, device=x.device),
        flow.tensor(columns, dtype=x.dtype, device=x.device),
    )
    return flow.matmul(rows, flow.matmul(x, columns.transpose(0, 1)))


@helper
def smoothing_matrix(size, length, align_corners, factor, mode):
    """The weight of each of `size` old pixels in each of `length` new ones, as in PyTorch's UpSampleKernel.cpp."""
    if align_corners:
        scale = (size - 1) / (length - 1) if length > 1 else 0.0
    else:
        scale = 1 / factor if factor else size / length
    reach = (1.0 if mode == "bilinear" else 2.0) * max(scale, 1.0)
    matrix = []
    for place in range(length):
        centre = scale * (place + 0.5)
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size)
        weights = [0.0] * size
        for pixel in range(first, last):
            weights[pixel] = smoothing_weight(abs(pixel - centre + 0.5) / max(scale, 1.0), mode)
        total = sum(weights)
        matrix.append([weight / total if total else 0.0 for weight in weights])
    return matrix


@helper
def smoothing_weight(x, mode):
    """A triangle, or a cubic with a = -0.5."""
    if mode == "bilinear":
        return max(1.0 - x, 0.0)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


@operator("aten.grid_sampler", "aten.grid_sampler_2d", "aten.grid_sampler_3d", "aten._grid_sampler_2d_cpu_fallback")
def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    return F.grid_sample(
        input,
        grid,
        mode=("bilinear", "nearest", "bicubic")[interpolation_mode],
        padding_mode=("zeros", "border", "reflection")[padding_mode],
        align_corners=align_corners,
    )


@operator("aten.affine_grid_generator")
def affine_grid_generator(theta, size, align_corners):
    return F.affine_grid(theta, tuple(size), align_corners=align_corners)


@operator("aten.im2col")
def im2col(self, kernel_size, dilation, padding, stride):
    if self.ndim == 3:
        return F.unfold(self.unsqueeze(0), kernel_size, dilation=dilation, padding=padding, stride=stride).squeeze(0)
    return F.unfold(self, kernel_size, dilation=dilation, padding=padding, stride=stride)


@operator("aten.col2im")
def col2im(self, output_size, kernel_size, dilation, padding, stride):
    if isinstance(output_size, int):
        output_size = (output_size, output_size)  # OneFlow's function takes no single number
    if self.ndim == 2:
        return F.fold(
            self.unsqueeze(0), output_size, kernel_size, dilation=dilation, padding=padding, stride=stride
        ).squeeze(0)
    return F.fold(self, output_size, kernel_size, dilation=dilation, padding=padding, stride=stride)
