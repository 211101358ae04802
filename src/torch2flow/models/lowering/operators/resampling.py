"""Images of another size, sampled elsewhere, or cut into patches."""

from __future__ import annotations

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


@operator("aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec")
def upsample_nearest_vec(input, output_size, scale_factors):
    if output_size is not None:
        return F.interpolate(input, size=output_size, mode="nearest")
    if len(set(scale_factors)) == 1:
        return F.interpolate(input, scale_factor=scale_factors[0], mode="nearest")
    return F.interpolate(input, scale_factor=tuple(scale_factors), mode="nearest")


@operator("aten.upsample_linear1d.vec")
def upsample_linear_vec(input, output_size, align_corners, scale_factors):
    if output_size is not None:
        return F.interpolate(input, size=output_size, mode="linear", align_corners=align_corners)
    if len(set(scale_factors)) == 1:
        return F.interpolate(input, scale_factor=scale_factors[0], mode="linear", align_corners=align_corners)
    return F.interpolate(input, scale_factor=tuple(scale_factors), mode="linear", align_corners=align_corners)


@operator("aten.upsample_bilinear2d.vec")
def upsample_bilinear_vec(input, output_size, align_corners, scale_factors):
    if output_size is not None:
        return F.interpolate(input, size=output_size, mode="bilinear", align_corners=align_corners)
    if len(set(scale_factors)) == 1:
        return F.interpolate(input, scale_factor=scale_factors[0], mode="bilinear", align_corners=align_corners)
    return F.interpolate(input, scale_factor=tuple(scale_factors), mode="bilinear", align_corners=align_corners)


@operator("aten.upsample_bicubic2d.vec")
def upsample_bicubic_vec(input, output_size, align_corners, scale_factors):
    if output_size is not None:
        return F.interpolate(input, size=output_size, mode="bicubic", align_corners=align_corners)
    if len(set(scale_factors)) == 1:
        return F.interpolate(input, scale_factor=scale_factors[0], mode="bicubic", align_corners=align_corners)
    return F.interpolate(input, scale_factor=tuple(scale_factors), mode="bicubic", align_corners=align_corners)


@operator("aten.upsample_trilinear3d.vec")
def upsample_trilinear_vec(input, output_size, align_corners, scale_factors):
    if output_size is not None:
        return F.interpolate(input, size=output_size, mode="trilinear", align_corners=align_corners)
    if len(set(scale_factors)) == 1:
        return F.interpolate(input, scale_factor=scale_factors[0], mode="trilinear", align_corners=align_corners)
    return F.interpolate(input, scale_factor=tuple(scale_factors), mode="trilinear", align_corners=align_corners)


@operator("aten.upsample_nearest1d", "aten.upsample_nearest2d", "aten.upsample_nearest3d")
def upsample_nearest(self, output_size, scales=None, scales_d=None, scales_h=None, scales_w=None):
    if scales is not None:
        return F.interpolate(self, scale_factor=scales, mode="nearest")
    if scales_d is not None:
        return F.interpolate(self, scale_factor=(scales_d, scales_h, scales_w), mode="nearest")
    if scales_h is not None:
        return F.interpolate(self, scale_factor=(scales_h, scales_w), mode="nearest")
    return F.interpolate(self, size=output_size, mode="nearest")


@operator("aten.upsample_linear1d")
def upsample_linear(self, output_size, align_corners, scales=None):
    if scales is not None:
        return F.interpolate(self, scale_factor=scales, mode="linear", align_corners=align_corners)
    return F.interpolate(self, size=output_size, mode="linear", align_corners=align_corners)


@operator("aten.upsample_bilinear2d")
def upsample_bilinear(self, output_size, align_corners, scales_h=None, scales_w=None):
    if scales_h is not None:
        return F.interpolate(self, scale_factor=(scales_h, scales_w), mode="bilinear", align_corners=align_corners)
    return F.interpolate(self, size=output_size, mode="bilinear", align_corners=align_corners)


@operator("aten.upsample_bicubic2d")
def upsample_bicubic(self, output_size, align_corners, scales_h=None, scales_w=None):
    if scales_h is not None:
        return F.interpolate(self, scale_factor=(scales_h, scales_w), mode="bicubic", align_corners=align_corners)
    return F.interpolate(self, size=output_size, mode="bicubic", align_corners=align_corners)


@operator("aten.upsample_trilinear3d")
def upsample_trilinear(self, output_size, align_corners, scales_d=None, scales_h=None, scales_w=None):
    if scales_d is not None:
        return F.interpolate(
            self, scale_factor=(scales_d, scales_h, scales_w), mode="trilinear", align_corners=align_corners
        )
    return F.interpolate(self, size=output_size, mode="trilinear", align_corners=align_corners)


@operator(
    "aten._upsample_nearest_exact1d.vec", "aten._upsample_nearest_exact2d.vec", "aten._upsample_nearest_exact3d.vec"
)
def upsample_nearest_exact_vec(input, output_size, scale_factors, *, out_shape):
    return nearest_exact(input, out_shape[2:], scale_factors)


@operator("aten._upsample_nearest_exact1d", "aten._upsample_nearest_exact2d", "aten._upsample_nearest_exact3d")
def upsample_nearest_exact(self, output_size, scales=None, scales_d=None, scales_h=None, scales_w=None):
    return nearest_exact(self, output_size, [each for each in (scales, scales_d, scales_h, scales_w) if each])


@helper
def nearest_exact(x, size, factors=None):
    """PyTorch's interpolation `nearest-exact`: the pixel whose centre is nearest."""
    for place, length in enumerate([size] * (x.ndim - 2) if isinstance(size, int) else size):
        factor = 1 / factors[place] if factors else x.shape[place + 2] / length
        centre = (flow.arange(length, device=x.device).to(flow.float32) + 0.5) * factor
        index = flow.clamp(flow.floor(centre).to(flow.int64), max=x.shape[place + 2] - 1)
        x = flow.index_select(x, place + 2, index)
    return x


@operator("aten._upsample_bilinear2d_aa.vec")
def upsample_bilinear_aa_vec(input, output_size, align_corners, scale_factors, *, out_shape):
    return resize_smoothly(input, out_shape[2:], align_corners, scale_factors, "bilinear")


@operator("aten._upsample_bicubic2d_aa.vec")
def upsample_bicubic_aa_vec(input, output_size, align_corners, scale_factors, *, out_shape):
    return resize_smoothly(input, out_shape[2:], align_corners, scale_factors, "bicubic")


@operator("aten._upsample_bilinear2d_aa")
def upsample_bilinear_aa(self, output_size, align_corners, scales_h=None, scales_w=None):
    if scales_h is None:
        return resize_smoothly(self, output_size, align_corners, None, "bilinear")
    return resize_smoothly(self, output_size, align_corners, [scales_h, scales_w], "bilinear")


@operator("aten._upsample_bicubic2d_aa")
def upsample_bicubic_aa(self, output_size, align_corners, scales_h=None, scales_w=None):
    if scales_h is None:
        return resize_smoothly(self, output_size, align_corners, None, "bicubic")
    return resize_smoothly(self, output_size, align_corners, [scales_h, scales_w], "bicubic")


@helper
def resize_smoothly(x, size, align_corners, factors, mode):
    """PyTorch's interpolation with `antialias=True`: a product with a matrix of weights for each dimension."""
    size = [size, size] if isinstance(size, int) else size
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
    if self.ndim == 2:
        return F.fold(
            self.unsqueeze(0), output_size, kernel_size, dilation=dilation, padding=padding, stride=stride
        ).squeeze(0)
    return F.fold(self, output_size, kernel_size, dilation=dilation, padding=padding, stride=stride)
