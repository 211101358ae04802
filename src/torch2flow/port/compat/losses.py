"""Losses as functions."""

import math

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.models.lowering.operators.losses import (
    cross_entropy_loss,
    distance_of_angles,
    distance_of_rows,
    divergence,
    entropy_of_bits,
    log_of_factorial,
    margins_of_classes,
    nll_loss,
    smooth_distance,
)
from torch2flow.port.compat.common import promoted
from torch2flow.port.compat.registry import stands_for


def reduction_of(reduction, size_average, reduce):
    """The reduction; `size_average` and `reduce` are PyTorch's older way to say it."""
    if size_average is None and reduce is None:
        return reduction
    return "none" if reduce is False else "mean" if size_average is None or size_average else "sum"


def summarized(loss, reduction, size_average=None, reduce=None):
    """The mean, the sum or all elements."""
    reduction = reduction_of(reduction, size_average, reduce)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def way_of(reduction, size_average=None, reduce=None):
    """PyTorch's number for a reduction."""
    return {"none": 0, "mean": 1, "sum": 2}[reduction_of(reduction, size_average, reduce)]


@stands_for(
    "torch.nn.functional.mse_loss",
    because="OneFlow's takes no `size_average` and no two dtypes.",
    only_with=("size_average", "reduce"),
)
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    input, target = promoted(input, target)
    return summarized(flow.square(input - target), reduction, size_average, reduce)


@stands_for(
    "torch.nn.functional.l1_loss",
    because="OneFlow's takes no `size_average` and no two dtypes.",
    only_with=("size_average", "reduce"),
)
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    input, target = promoted(input, target)
    return summarized(flow.abs(input - target), reduction, size_average, reduce)


@stands_for("torch.nn.functional.smooth_l1_loss", because="OneFlow's wants `beta` and `reduction`.")
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    input, target = promoted(input, target)
    return summarized(smooth_distance(input - target, beta), reduction, size_average, reduce)


@stands_for("torch.nn.functional.huber_loss", because="OneFlow has no `huber_loss`.")
def huber_loss(input, target, reduction="mean", delta=1.0):
    input, target = promoted(input, target)
    return summarized(delta * smooth_distance(input - target, delta), reduction)


@stands_for(
    "torch.nn.functional.cross_entropy",
    because="OneFlow's ends the process without a batch.",
    only_with=("size_average", "reduce"),
)
def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
    label_smoothing=0.0,
):  # fmt: skip
    way = way_of(reduction, size_average, reduce)
    return cross_entropy_loss(input, target, weight, way, ignore_index, label_smoothing)


@stands_for("torch.nn.functional.nll_loss", because="OneFlow has the module alone.")
def negative_log_likelihood(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
):
    return nll_loss(input, target, weight, way_of(reduction, size_average, reduce), ignore_index)


@stands_for(
    "torch.nn.functional.binary_cross_entropy",
    because="OneFlow's gradient is NaN for a chance of exactly 0 or 1, as a sigmoid gives.",
)
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    loss = entropy_of_bits(input, target.to(input.dtype))
    return summarized(loss if weight is None else loss * weight, reduction, size_average, reduce)


@stands_for(
    "torch.nn.functional.binary_cross_entropy_with_logits",
    "torch.binary_cross_entropy_with_logits",
    because="OneFlow's takes no `size_average`, and a weight of the full shape alone.",
    only_with=("size_average", "reduce"),
)
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    loss = F.softplus(input) - target * input
    if pos_weight is not None:
        loss = loss + target * (pos_weight - 1) * F.softplus(-input)
    return summarized(loss if weight is None else loss * weight, reduction, size_average, reduce)


@stands_for(
    "torch.nn.functional.kl_div",
    "torch.kl_div",
    because="OneFlow's is less exact, and takes no `size_average`.",
    only_with=("size_average", "reduce"),
)
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    loss = flow.exp(target) * (target - input) if log_target else divergence(input, target)
    if reduction == "batchmean":
        return loss.sum() / input.shape[0]
    return summarized(loss, reduction, size_average, reduce)


@stands_for("torch.nn.functional.soft_margin_loss", because="OneFlow has no `soft_margin_loss`.")
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    return summarized(flow.log1p(flow.exp(-target * input)), reduction, size_average, reduce)


@stands_for("torch.nn.functional.multilabel_soft_margin_loss", because="OneFlow has none.")
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    loss = target * F.softplus(-input) + (1 - target) * F.softplus(input)
    loss = (loss if weight is None else loss * weight).mean(dim=input.ndim - 1)
    return summarized(loss, reduction, size_average, reduce)


@stands_for("torch.nn.functional.multi_margin_loss", because="OneFlow has no `multi_margin_loss`.")
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    loss = margins_of_classes(input, target, p, margin, weight)
    return summarized(loss, reduction, size_average, reduce)


@stands_for("torch.nn.functional.hinge_embedding_loss", because="OneFlow has no `hinge_embedding_loss`.")
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    none = 0 * input
    loss = flow.where(target != -1, input, none) + flow.where(target != 1, F.relu(margin - input), none)
    return summarized(loss, reduction, size_average, reduce)


@stands_for("torch.nn.functional.margin_ranking_loss", because="OneFlow has the module alone.")
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    return summarized(F.relu(-target * (input1 - input2) + margin), reduction, size_average, reduce)


@stands_for("torch.nn.functional.triplet_margin_loss", because="OneFlow's wants all arguments.")
def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None,
    reduction="mean",
):  # fmt: skip
    near, far = distance_of_rows(anchor, positive, p, eps), distance_of_rows(anchor, negative, p, eps)
    if swap:
        far = flow.minimum(far, distance_of_rows(positive, negative, p, eps))
    return summarized(F.relu(near - far + margin), reduction, size_average, reduce)


@stands_for("torch.nn.functional.cosine_embedding_loss", because="OneFlow has no `cosine_embedding_loss`.")
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    return summarized(distance_of_angles(input1, input2, target, margin), reduction, size_average, reduce)


@stands_for("torch.nn.functional.poisson_nll_loss", because="OneFlow has no `poisson_nll_loss`.")
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    loss = flow.exp(input) - target * input if log_input else input - target * flow.log(input + eps)
    loss = loss + log_of_factorial(target) if full else loss
    return summarized(loss, reduction, size_average, reduce)


@stands_for("torch.nn.functional.gaussian_nll_loss", because="OneFlow has no `gaussian_nll_loss`.")
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    if var.ndim < input.ndim and tuple(var.shape) == tuple(input.shape[:-1]):
        var = var.unsqueeze(-1)
    # The bound has no part in the gradient.
    var = var + (flow.clamp(var, min=eps) - var).detach()
    loss = 0.5 * (flow.log(var) + flow.square(input - target) / var)
    return summarized(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@stands_for("torch.nn.functional.ctc_loss", "torch.ctc_loss", because="OneFlow has the module alone.")
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    lengths = [
        each if isinstance(each, flow.Tensor) else flow.tensor(each, dtype=flow.int64, device=log_probs.device)
        for each in (input_lengths, target_lengths)
    ]
    return flow.nn.CTCLoss(blank, reduction, zero_infinity)(log_probs, targets, *lengths)
