"""torchvision's own operators, by which detectors choose boxes and look into them."""

import math

from torch2flow.models.lowering.lazy import flow, helper
from torch2flow.models.lowering.registry import operator


@operator("torchvision.nms")
@helper
def non_maximum_suppression(dets, scores, iou_threshold):
    """torchvision's `nms`: the places of boxes by falling score, without those that overlap a better one too much."""
    if dets.shape[0] == 0:
        return flow.zeros((0,), dtype=flow.int64, device=dets.device)
    order = flow.argsort(scores, descending=True)
    boxes = dets[order].detach()
    low = flow.maximum(boxes[:, :2].unsqueeze(1), boxes[:, :2])
    high = flow.minimum(boxes[:, 2:].unsqueeze(1), boxes[:, 2:])
    sides, size = flow.clamp(high - low, min=0), boxes[:, 2:] - boxes[:, :2]
    shared, area = sides[..., 0] * sides[..., 1], size[:, 0] * size[:, 1]
    overlaps = (shared / (area.unsqueeze(1) + area - shared) > iou_threshold).tolist()
    kept = []
    for place, row in enumerate(overlaps):
        if not any(row[better] for better in kept):
            kept.append(place)
    return order[flow.tensor(kept, dtype=flow.int64, device=dets.device)]


@helper
def bin_weights(start, length, bins, samples, size):
    """How much each pixel of an axis counts in each bin of a part of it, by linear interpolation at `samples` points.

    Args:
        start, length: of the part, in pixels.
        bins: how many there are.
        samples: points in each bin.
        size: of the axis.
    """
    places = flow.arange(bins * samples, dtype=start.dtype, device=start.device)
    places = start + (places + 0.5) * (length / max(bins * samples, 1))
    inside = flow.logical_and(places >= -1, places <= size).to(start.dtype)
    pixels = flow.arange(size, dtype=start.dtype, device=start.device)
    weights = flow.clamp(1 - (flow.clamp(places, min=0, max=size - 1).unsqueeze(1) - pixels).abs(), min=0)
    return (weights * inside.unsqueeze(1)).reshape(bins, samples, size).sum(dim=1) / max(samples, 1)


@operator("torchvision.roi_align")
@helper
def roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
    """torchvision's `roi_align`: for each box the mean of samples in each of its bins, by bilinear interpolation."""
    made = [flow.zeros((0, input.shape[1], pooled_height, pooled_width), dtype=input.dtype, device=input.device)]
    for roi in rois:
        image, corners = input[int(roi[0].item())], roi[1:] * spatial_scale - (0.5 if aligned else 0.0)
        height, width = corners[3] - corners[1], corners[2] - corners[0]
        if not aligned:
            height, width = flow.clamp(height, min=1.0), flow.clamp(width, min=1.0)
        weights = []
        for start, length, bins, size in (
            (corners[1], height, pooled_height, image.shape[1]),
            (corners[0], width, pooled_width, image.shape[2]),
        ):
            samples = sampling_ratio if sampling_ratio > 0 else max(math.ceil(length.item() / bins), 0)
            weights.append(bin_weights(start, length, bins, samples, size))
        found = flow.matmul(flow.matmul(weights[0], image), weights[1].transpose(0, 1))
        made.append(found.unsqueeze(0))
    return flow.cat(made, dim=0)


@operator("torchvision.ps_roi_align")
@helper
def position_sensitive_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio):
    """torchvision's `ps_roi_align`: each bin has channels of its own. The second output of the operator is not made."""
    found = roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, True)
    bins = pooled_height * pooled_width
    if found.shape[0] == 0:
        return found[:, ::bins], None
    values = [found[:, place::bins, place // pooled_width, place % pooled_width] for place in range(bins)]
    return flow.stack(values, dim=2).reshape(found.shape[0], -1, pooled_height, pooled_width), None


@helper
def pixels_of_bins(start, stop, bins, size):
    """The first pixel of each bin of a part of an axis, and the one behind its last."""
    places = flow.arange(bins + 1, dtype=flow.float32) * flow.tensor(float(stop - start)).div(bins)
    low, high = flow.floor(places).tolist(), flow.ceil(places).tolist()
    return [
        (min(max(int(low[each]) + start, 0), size), min(max(int(high[each + 1]) + start, 0), size))
        for each in range(bins)
    ]


@helper
def bins_of_boxes(input, rois, spatial_scale, pooled_height, pooled_width, behind, cut):
    """For each box the pixels of the image that fall into each of its bins, as lists of rows of bins.

    Args:
        input, rois, spatial_scale, pooled_height, pooled_width: torchvision's.
        behind: how many pixels behind its last corner are part of it.
        cut: how many pixels at the end of the image are left out.
    """
    found = []
    for roi in rois:
        image = input[int(roi[0].item())]
        left, top, right, bottom = [
            int(math.copysign(math.floor(abs(corner) + 0.5), corner)) for corner in (roi[1:] * spatial_scale).tolist()
        ]
        rows = pixels_of_bins(top, max(bottom + behind, top + 1), pooled_height, image.shape[1] - cut)
        columns = pixels_of_bins(left, max(right + behind, left + 1), pooled_width, image.shape[2] - cut)
        found.append([[image[:, a:b, c:d].reshape(image.shape[0], -1) for c, d in columns] for a, b in rows])
    return found


@operator("torchvision.roi_pool")
@helper
def roi_pool(input, rois, spatial_scale, pooled_height, pooled_width):
    """torchvision's `roi_pool`: the largest value in each bin of each box. The operator's second output is not made."""
    channels = input.shape[1]
    made = [flow.zeros((0, channels, pooled_height, pooled_width), dtype=input.dtype, device=input.device)]
    for box in bins_of_boxes(input, rois, spatial_scale, pooled_height, pooled_width, 1, 0):
        values = [
            flow.gather(pixels, 1, flow.argmax(pixels.detach(), dim=1).unsqueeze(1))
            if pixels.shape[1]
            else flow.zeros((channels, 1), dtype=input.dtype, device=input.device)
            for row in box
            for pixels in row
        ]
        made.append(flow.cat(values, dim=1).reshape(1, channels, pooled_height, pooled_width))
    return flow.cat(made, dim=0), None


@operator("torchvision.ps_roi_pool")
@helper
def position_sensitive_roi_pool(input, rois, spatial_scale, pooled_height, pooled_width):
    """torchvision's `ps_roi_pool`: means of bins that have channels of their own. The second output is not made."""
    bins = pooled_height * pooled_width
    none = flow.zeros((0, input.shape[1] // bins, pooled_height, pooled_width), dtype=input.dtype, device=input.device)
    made = []
    # Its values leave out the last row and column of the image, and its gradient does not (ps_roi_pool_kernel.cpp).
    for cut in (1, 0):
        means = []
        for box in bins_of_boxes(input, rois, spatial_scale, pooled_height, pooled_width, 0, cut):
            pixels = [each for row in box for each in row]
            values = [each[place::bins].sum(dim=1) / max(each.shape[1], 1) for place, each in enumerate(pixels)]
            means.append(flow.stack(values, dim=1).reshape(1, -1, pooled_height, pooled_width))
        made.append(flow.cat(means, dim=0) if means else none)
    return made[0].detach() + made[1] - made[1].detach(), None


@operator("torchvision.deform_conv2d")
def deform_conv2d(
    input, weight, offset, mask, bias, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups,
    offset_groups, use_mask,
):  # fmt: skip
    # OneFlow 0.9.0 has one too, whose gradient for the weight is wrong.
    steps = (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w)
    made = deformable_convolution(input, weight, offset, mask if use_mask else None, *steps, groups, offset_groups)
    return made + bias.reshape(-1, 1, 1)


@helper
def deformable_convolution(
    x, weight, offset, mask=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, offset_groups=1
):
    """A convolution whose samples are moved by `offset`, and interpolated; what lies outside of the image is 0."""
    count, channels, height, width = x.shape
    rows, columns = weight.shape[2:]
    taps, out = rows * columns, offset.shape[2:]
    moved = offset.reshape(count, offset_groups, taps, 2, *out)
    places = []
    for axis in (0, 1):
        tap = flow.arange(weight.shape[2 + axis], device=x.device) * dilation[axis]
        tap = (tap.reshape(-1, 1) if axis == 0 else tap.reshape(1, -1)).expand(rows, columns).reshape(taps, 1, 1)
        at = flow.arange(out[axis], device=x.device) * stride[axis] - padding[axis]
        places.append(moved[:, :, :, axis] + (tap + (at.reshape(-1, 1) if axis == 0 else at)).to(x.dtype))
    y, x_place = places
    images = x.reshape(count, offset_groups, channels // offset_groups, height * width)
    sampled = 0
    for down in (0, 1):
        for right in (0, 1):
            row, column = flow.floor(y.detach()) + down, flow.floor(x_place.detach()) + right
            share = (1 - (y - row).abs()) * (1 - (x_place - column).abs())
            inside = (row >= 0).to(x.dtype) * (row < height).to(x.dtype) * (column >= 0).to(x.dtype)
            share = share * inside * (column < width).to(x.dtype)
            share = share if mask is None else share * mask.reshape(*share.shape)
            index = flow.clamp(row, min=0, max=height - 1) * width + flow.clamp(column, min=0, max=width - 1)
            index = index.to(flow.int64).reshape(count, offset_groups, 1, -1).expand(*images.shape[:3], -1)
            pixels = flow.gather(images, 3, index)
            sampled = sampled + pixels * share.reshape(count, offset_groups, 1, -1)
    sampled = sampled.reshape(count, groups, channels // groups * taps, -1)
    kernel = weight.reshape(groups, weight.shape[0] // groups, -1)
    return flow.matmul(kernel, sampled).reshape(count, weight.shape[0], *out)
