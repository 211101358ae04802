"""Losses, which a program holds when it was captured together with its training objective."""

import math

from torch2flow.models.lowering.lazy import F, flow, helper
from torch2flow.models.lowering.registry import operator


def reduced(loss, reduction, *operands):
    """ATen's `reduction` of a loss of these operands: 0 leaves the elements, 1 is their mean, 2 their sum."""
    if reduction == 0 or (operands and all(operand.ndim == 0 for operand in operands)):
        return loss
    return loss.mean() if reduction == 1 else loss.sum()


@operator("aten.mse_loss", promotes=("self", "target"))
def mse_loss(self, target, reduction=1):
    return reduced(flow.square(self - target), reduction, self, target)


@operator("aten.l1_loss", promotes=("self", "target"))
def l1_loss(self, target, reduction=1):
    return reduced(flow.abs(self - target), reduction, self, target)


@operator("aten.smooth_l1_loss", promotes=("self", "target"))
def smooth_l1_loss(self, target, reduction=1, beta=1.0):
    return reduced(smooth_distance(self - target, beta), reduction, self, target)


@helper
def smooth_distance(difference, beta=1.0):
    """Half the square where the difference is below `beta`, straight beyond."""
    distance = flow.abs(difference)
    if beta == 0:
        return distance
    return flow.where(distance < beta, 0.5 * flow.square(distance) / beta, distance - 0.5 * beta)


@operator("aten.huber_loss", promotes=("self", "target"))
def huber_loss(self, target, reduction=1, delta=1.0):
    return reduced(delta * smooth_distance(self - target, delta), reduction, self, target)


@operator("aten.binary_cross_entropy")
def binary_cross_entropy(self, target, weight=None, reduction=1):
    loss = entropy_of_bits(self, target)
    return reduced(loss if weight is None else loss * weight, reduction, self, target)


@helper
def entropy_of_bits(x, target):
    """PyTorch's binary cross entropy: its logarithms are cut at -100, its gradient divides by no less than 1e-12."""
    is_sure = (x * (1 - x)).detach() < 1e-12
    unsure = flow.where(is_sure, flow.full_like(x, 0.5), x)
    loss = -(target * flow.log(unsure) + (1 - target) * flow.log(1 - unsure))
    fixed = x.detach()
    yes, no = flow.clamp(flow.log(fixed), min=-100), flow.clamp(flow.log(1 - fixed), min=-100)
    sure = ((fixed - target) / 1e-12).detach() * (x - fixed) - target * yes - (1 - target) * no
    return flow.where(is_sure, sure, loss)


@operator("aten.binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(self, target, weight=None, pos_weight=None, reduction=1):
    loss = F.softplus(self) - target * self
    if pos_weight is not None:
        loss = loss + target * (pos_weight - 1) * F.softplus(-self)
    return reduced(loss if weight is None else loss * weight, reduction, self, target)


@operator("aten.soft_margin_loss")
def soft_margin_loss(self, target, reduction=1):
    return reduced(flow.log1p(flow.exp(-target * self)), reduction, self, target)


@operator("aten.margin_ranking_loss")
def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=1):
    return reduced(F.relu(-target * (input1 - input2) + margin), reduction, input1, input2, target)


@operator("aten.hinge_embedding_loss")
def hinge_embedding_loss(self, target, margin=1.0, reduction=1):
    none = 0 * self
    loss = flow.where(target != -1, self, none) + flow.where(target != 1, F.relu(margin - self), none)
    return reduced(loss, reduction, self, target)


@operator("aten.kl_div")
def kl_div(self, target, reduction=1, log_target=False):
    loss = flow.exp(target) * (target - self) if log_target else divergence(self, target)
    return reduced(loss, reduction, self, target)


@helper
def divergence(x, target):
    """PyTorch's `kl_div` of log-probabilities from probabilities; 0 * log(0) is 0."""
    some = target > 0
    return flow.where(some, target * (flow.log(flow.where(some, target, flow.ones_like(target))) - x), 0 * target * x)


@operator("aten.poisson_nll_loss")
def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    loss = flow.exp(input) - target * input if log_input else input - target * flow.log(input + eps)
    return reduced(loss + log_of_factorial(target) if full else loss, reduction, input, target)


@helper
def log_of_factorial(x):
    """Stirling's formula, for what is above 1."""
    large = flow.where(x > 1, x, flow.ones_like(x)).to(flow.float32)
    return flow.where(x > 1, large * flow.log(large) - large + 0.5 * flow.log(2 * math.pi * large), 0 * large)


@operator("aten.nll_loss", "aten.nll_loss_nd", "aten.nll_loss2d")
@helper
def nll_loss(self, target, weight=None, reduction=1, ignore_index=-100):
    """PyTorch's `nll_loss`: minus the log-probability of each target."""
    dim = 1 if self.ndim > 1 else 0
    counted = target != ignore_index
    safe = flow.where(counted, target, flow.zeros_like(target))
    share = counted.to(self.dtype)
    if weight is not None:
        share = share * weight[safe]
    loss = -flow.gather(self, dim, safe.unsqueeze(dim)).squeeze(dim) * share
    if reduction == 1:
        return loss.sum() / share.sum()
    return loss.sum() if reduction == 2 else loss


@operator("aten.nll_loss_forward", "aten.nll_loss2d_forward")
def nll_loss_forward(self, target, weight, reduction, ignore_index):
    return (
        nll_loss(self, target, weight, reduction, ignore_index),
        total_weight(self, target, weight, reduction, ignore_index),
    )


@helper
def total_weight(x, target, weight=None, reduction=1, ignored=-100):
    """The second result of `nll_loss_forward`: the weights of all targets that count."""
    counted = target != ignored
    safe = flow.where(counted, target, flow.zeros_like(target))
    share = counted.to(x.dtype) if weight is None else counted.to(x.dtype) * weight[safe]
    return share.sum() * (reduction != 0)


@operator("aten.cross_entropy_loss")
@helper
def cross_entropy_loss(self, target, weight=None, reduction=1, ignore_index=-100, label_smoothing=0.0):
    """PyTorch's `cross_entropy`, of class indices or of probabilities, with label smoothing."""
    dim = 1 if self.ndim > 1 else 0
    logs = F.log_softmax(self, dim=dim)
    shape = [-1 if d == dim else 1 for d in range(self.ndim)]
    if target.dtype.is_floating_point:
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / self.shape[dim]
        loss = logs * target if weight is None else logs * target * weight.reshape(*shape)
        loss = -loss.sum(dim=dim)
        if reduction == 1:
            return loss.sum() / (self.numel() // self.shape[dim])
        return loss.sum() if reduction == 2 else loss
    loss = nll_loss(logs, target, weight, reduction, ignore_index)
    if not label_smoothing:
        return loss
    counted = (target != ignore_index).to(self.dtype)
    spread = -(logs if weight is None else logs * weight.reshape(*shape)).sum(dim=dim) * counted
    if reduction == 1:
        safe = flow.where(target != ignore_index, target, flow.zeros_like(target))
        spread = spread.sum() / (counted if weight is None else counted * weight[safe]).sum()
    elif reduction == 2:
        spread = spread.sum()
    return (1 - label_smoothing) * loss + label_smoothing / self.shape[dim] * spread


@operator("aten.cosine_embedding_loss")
def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=1):
    return reduced(distance_of_angles(input1, input2, target, margin), reduction, target)


@helper
def distance_of_angles(x, y, target, margin=0.0):
    """PyTorch's `cosine_embedding_loss`: 1 - cosine for target 1, cosine beyond a margin for -1."""
    tiny = 1e-12
    dim = x.ndim - 1
    cosine = (x * y).sum(dim=dim) / flow.sqrt(
        (flow.square(x).sum(dim=dim) + tiny) * (flow.square(y).sum(dim=dim) + tiny)
    )
    return flow.where(target == 1, 1 - cosine, 0 * cosine) + flow.where(
        target == -1, F.relu(cosine - margin), 0 * cosine
    )


@operator("aten.multi_margin_loss")
def multi_margin_loss(self, target, p=1, margin=1.0, weight=None, reduction=1):
    return reduced(margins_of_classes(self, target, p, margin, weight), reduction)


@helper
def margins_of_classes(x, target, p=1, margin=1.0, weight=None):
    """PyTorch's `multi_margin_loss`, before the mean: how far other classes come within a margin of the right one."""
    rows, targets = x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x.reshape(1, -1), target.reshape(-1, 1)
    loss = F.relu(margin - flow.gather(rows, 1, targets) + rows) ** p
    loss = loss if weight is None else loss * weight[targets]
    others = flow.arange(rows.shape[1], device=x.device).unsqueeze(0) != targets
    loss = (loss * others.to(loss.dtype)).sum(dim=1) / rows.shape[1]
    return loss if x.ndim > 1 else loss.reshape(())


@operator("aten.multilabel_margin_loss")
def multilabel_margin_loss(self, target, reduction=1):
    return reduced(margins_of_labels(self, target), reduction)


@helper
def margins_of_labels(x, target):
    """PyTorch's `multilabel_margin_loss`, before the mean: the classes of a row, up to the first -1, against others."""
    rows, classes = (x, target) if x.ndim > 1 else (x.reshape(1, -1), target.reshape(1, -1))
    is_given = flow.cumsum((classes < 0).to(flow.int64), 1) == 0
    places = flow.where(is_given, classes, flow.zeros_like(classes))
    hits = places.unsqueeze(2) == flow.arange(rows.shape[1], device=x.device)
    others = 1 - flow.logical_and(hits, is_given.unsqueeze(2)).to(x.dtype).sum(dim=1)
    loss = F.relu(1 - flow.gather(rows, 1, places).unsqueeze(2) + rows.unsqueeze(1))
    loss = (loss * is_given.to(x.dtype).unsqueeze(2) * flow.clamp(others, min=0).unsqueeze(1)).sum(dim=[1, 2])
    return (loss if x.ndim > 1 else loss.reshape(())) / rows.shape[1]


@operator("aten.triplet_margin_loss")
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction=1):
    near, far = distance_of_rows(anchor, positive, p, eps), distance_of_rows(anchor, negative, p, eps)
    if swap:
        far = flow.minimum(far, distance_of_rows(positive, negative, p, eps))
    return reduced(F.relu(near - far + margin), reduction)


@helper
def distance_of_rows(x, y, p=2.0, eps=1e-6):
    """PyTorch's `pairwise_distance`."""
    return flow.linalg.vector_norm(x - y + eps, p, dim=-1)
