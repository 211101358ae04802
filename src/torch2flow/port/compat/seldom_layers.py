"""Layers, losses and helpers of `torch.nn` that few models have."""

from collections import namedtuple

from torch2flow.models.lowering.lazy import F, flow, nn
from torch2flow.models.lowering.operators.losses import margins_of_labels
from torch2flow.port.compat.absent_modules import LossModule, LPPool1d
from torch2flow.port.compat.activations import hardtanh
from torch2flow.port.compat.layers import avg_pool3d
from torch2flow.port.compat.losses import summarized
from torch2flow.port.compat.registry import stands_for

AdaptiveOutput = namedtuple("AdaptiveOutput", ["output", "loss"])


@stands_for("torch.nn.functional.hardtanh_", because="OneFlow has no `hardtanh_`.")
def hardtanh_(input, min_val=-1.0, max_val=1.0):
    return hardtanh(input, min_val, max_val, True)


@stands_for("torch.nn.functional.lp_pool3d", because="OneFlow has no `lp_pool3d`.")
def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    sizes = [kernel_size] * 3 if isinstance(kernel_size, int) else kernel_size
    pooled = avg_pool3d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return (flow.sign(pooled) * F.relu(flow.abs(pooled)) * sizes[0] * sizes[1] * sizes[2]) ** (1.0 / norm_type)


@stands_for("torch.nn.LPPool3d", because="OneFlow has no `LPPool3d`.")
class LPPool3d(LPPool1d):
    def forward(self, input):
        return lp_pool3d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


@stands_for("torch.nn.ZeroPad1d", "torch.nn.ZeroPad3d", because="OneFlow has it for two dimensions alone.")
class ZeroPad(nn.Module):
    def __init__(self, padding):
        super().__init__()
        self.padding = padding

    def forward(self, input):
        count = 2 * (input.ndim - 2)
        padding = (self.padding,) * count if isinstance(self.padding, int) else tuple(self.padding)
        return F.pad(input, padding)


@stands_for("torch.nn.functional.multilabel_margin_loss", because="OneFlow has no `multilabel_margin_loss`.")
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    return summarized(margins_of_labels(input, target), reduction, size_average, reduce)


@stands_for("torch.nn.MultiLabelMarginLoss", because="OneFlow has no `MultiLabelMarginLoss`.")
class MultiLabelMarginLoss(LossModule):
    def forward(self, input, target):
        return multilabel_margin_loss(input, target, reduction=self.reduction)


@stands_for("torch.nn.AdaptiveLogSoftmaxWithLoss", because="OneFlow has no `AdaptiveLogSoftmaxWithLoss`.")
class AdaptiveLogSoftmaxWithLoss(nn.Module):
    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        self.in_features, self.n_classes, self.div_value = in_features, n_classes, div_value
        self.cutoffs, self.head_bias = [*cutoffs, n_classes], head_bias
        self.shortlist_size, self.n_clusters = self.cutoffs[0], len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = nn.Linear(in_features, self.head_size, bias=head_bias)
        self.tail = nn.ModuleList()
        for place in range(self.n_clusters):
            size = int(in_features // (div_value ** (place + 1)))
            count = self.cutoffs[place + 1] - self.cutoffs[place]
            self.tail.append(
                nn.Sequential(nn.Linear(in_features, size, bias=False), nn.Linear(size, count, bias=False))
            )

    def log_prob(self, input):
        head = flow.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for place, tail in enumerate(self.tail):
            parts.append(flow.log_softmax(tail(input), 1) + head[:, self.shortlist_size + place].unsqueeze(1))
        return flow.cat(parts, dim=1)

    def forward(self, input_, target_):
        rows, classes = (input_, target_) if target_.ndim else (input_.unsqueeze(0), target_.unsqueeze(0))
        output = flow.gather(self.log_prob(rows), 1, classes.unsqueeze(1)).squeeze(1)
        return AdaptiveOutput(output if target_.ndim else output.squeeze(0), -output.mean())

    def predict(self, input):
        return flow.argmax(self.log_prob(input), dim=1)


@stands_for("torch.nn.utils.get_total_norm", because="OneFlow has no `get_total_norm`.")
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    tensors = [tensors] if isinstance(tensors, flow.Tensor) else list(tensors)
    if not tensors:
        return flow.tensor(0.0)
    norms = flow.stack([flow.linalg.vector_norm(each, float(norm_type)) for each in tensors], dim=0)
    total = flow.linalg.vector_norm(norms, float(norm_type))
    if error_if_nonfinite and not total.item() - total.item() == 0:
        raise RuntimeError(f"The total norm of order {norm_type} for gradients from `parameters` is non-finite")
    return total


@stands_for("torch.nn.utils.clip_grads_with_norm_", because="OneFlow has no `clip_grads_with_norm_`.")
def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    factor = flow.clamp(max_norm / (total_norm + 1e-6), max=1.0)
    for each in [parameters] if isinstance(parameters, flow.Tensor) else parameters:
        if each.grad is not None:
            each.grad.mul_(factor)


@stands_for("torch.nn.utils.skip_init", because="OneFlow has no `skip_init`: the values are set, as ever.")
def skip_init(module_cls, *args, **named):
    device = named.pop("device", None)
    module = module_cls(*args, **named)
    return module if device is None else module.to(device)
