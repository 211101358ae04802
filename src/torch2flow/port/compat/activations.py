"""Activations, softmax and dropout as functions."""

from torch2flow.models.lowering.lazy import F, flow
from torch2flow.models.lowering.operators.elementwise import log_sigmoid, prelu, random_leaky_relu
from torch2flow.models.lowering.operators.random import drop_to_saturation, feature_dropout
from torch2flow.port.compat.common import written
from torch2flow.port.compat.registry import stands_for


def finished(x, result, inplace):
    """The result, written into the argument where the caller asks for it."""
    return written(x, result) if inplace else result


def own(x, inplace):
    """The argument, or a copy where it is about to be overwritten: a gradient may need the old values."""
    return x.clone() if inplace else x


@stands_for(
    "torch.relu", "torch.nn.functional.relu", because="OneFlow's takes no keyword `input=`.", only_with=("input",)
)
def relu(input, inplace=False):
    return F.relu(input, inplace) if input.dtype.is_floating_point else flow.clamp(input, min=0)


@stands_for("torch.relu_", "torch.nn.functional.relu_", because="OneFlow has no `relu_`.")
def relu_(input):
    return F.relu(input, True)


@stands_for(
    "torch.nn.functional.relu6",
    because="OneFlow's does not work in place on what needs a gradient.",
    only_with=("inplace",),
)
def relu6(input, inplace=False):
    return hardtanh(input, 0.0, 6.0, inplace)


@stands_for(
    "torch.nn.functional.leaky_relu", because="OneFlow's wants the slope, calls it `alpha`, and takes no `inplace`."
)
def leaky_relu(input, negative_slope=0.01, inplace=False):
    return finished(input, F.leaky_relu(own(input, inplace), alpha=negative_slope), inplace)


@stands_for("torch.nn.functional.leaky_relu_", because="OneFlow has no `leaky_relu_`.")
def leaky_relu_(input, negative_slope=0.01):
    return leaky_relu(input, negative_slope, True)


@stands_for("torch.nn.functional.elu", because="OneFlow's wants `alpha`, and takes no `inplace`.")
def elu(input, alpha=1.0, inplace=False):
    return finished(input, F.elu(own(input, inplace), alpha), inplace)


@stands_for("torch.nn.functional.elu_", because="OneFlow has no `elu_`.")
def elu_(input, alpha=1.0):
    return elu(input, alpha, True)


@stands_for(
    "torch.nn.functional.selu", "torch.selu", because="OneFlow's takes no `inplace`.", only_with=("input", "inplace")
)
def selu(input, inplace=False):
    return finished(input, F.selu(own(input, inplace)), inplace)


@stands_for(
    "torch.nn.functional.celu",
    "torch.celu",
    because="OneFlow's takes `alpha` by its name alone.",
    only_with=("alpha", "inplace"),
)
def celu(input, alpha=1.0, inplace=False):
    return finished(input, F.celu(own(input, inplace), alpha=alpha), inplace)


@stands_for("torch.nn.functional.gelu", because="OneFlow's takes no keyword `input=`.", only_with=("input",))
def gelu(input, approximate="none"):
    return F.gelu(input, approximate=approximate)


@stands_for("torch.nn.functional.silu", because="OneFlow's takes no `inplace`.", only_with=("input", "inplace"))
def silu(input, inplace=False):
    return finished(input, F.silu(own(input, inplace)), inplace)


@stands_for("torch.nn.functional.mish", because="OneFlow's is NaN from 100 on, and takes no `inplace`.")
def mish(input, inplace=False):
    x = own(input, inplace)
    return finished(input, x * flow.tanh(F.softplus(x)), inplace)


stands_for("torch.nn.functional.logsigmoid", because="OneFlow's is -inf below -745.")(log_sigmoid)


@stands_for("torch.nn.functional.hardswish", because="OneFlow's takes no `inplace`.", only_with=("input", "inplace"))
def hardswish(input, inplace=False):
    return finished(input, F.hardswish(own(input, inplace)), inplace)


@stands_for(
    "torch.nn.functional.hardsigmoid",
    because="OneFlow's does not work in place on what needs a gradient.",
    only_with=("inplace",),
)
def hardsigmoid(input, inplace=False):
    return finished(input, F.hardsigmoid(own(input, inplace)), inplace)


@stands_for("torch.nn.functional.hardtanh", because="OneFlow's wants the bounds, and takes no `inplace`.")
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    if not input.dtype.is_floating_point:
        return finished(input, flow.clamp(input, min=min_val, max=max_val), inplace)
    return finished(input, F.hardtanh(own(input, inplace), float(min_val), float(max_val)), inplace)


@stands_for("torch.nn.functional.softshrink", because="OneFlow's calls the bound `alpha`, and takes it by name alone.")
def softshrink(input, lambd=0.5):
    return F.softshrink(input, alpha=lambd)


@stands_for(
    "torch.nn.functional.hardshrink",
    "torch.hardshrink",
    because="OneFlow's takes the bound by name alone.",
    only_with=("lambd",),
)
def hardshrink(input, lambd=0.5):
    return F.hardshrink(input, lambd=lambd)


@stands_for("torch.nn.functional.tanhshrink", because="OneFlow has no `tanhshrink`.")
def tanhshrink(input):
    return input - flow.tanh(input)


@stands_for(
    "torch.nn.functional.softsign", because="OneFlow's takes no integers and no keyword `input=`.", only_with=("input",)
)
def softsign(input):
    return input / (1 + flow.abs(input))


@stands_for("torch.nn.functional.softplus", because="OneFlow's takes no keyword `input=`.", only_with=("input",))
def softplus(input, beta=1, threshold=20):
    return F.softplus(input, beta=beta, threshold=threshold)


@stands_for("torch.nn.functional.threshold", "torch.threshold", because="OneFlow's takes the bound by name alone.")
def threshold_at(input, threshold, value, inplace=False):
    return finished(input, F.threshold(own(input, inplace), threshold=threshold, value=value), inplace)


@stands_for("torch.nn.functional.rrelu", "torch.rrelu", because="OneFlow has no `rrelu`.")
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    if training:
        return finished(input, random_leaky_relu(own(input, inplace), lower, upper), inplace)
    return leaky_relu(input, (lower + upper) / 2, inplace)


stands_for(
    "torch.nn.functional.prelu",
    "torch.prelu",
    "torch.Tensor.prelu",
    because="OneFlow's ends the process for some shapes.",
)(prelu)


@stands_for("torch.nn.functional.glu", because="OneFlow's takes no keyword `input=`.", only_with=("input",))
def glu(input, dim=-1):
    return F.glu(input, dim)


@stands_for(
    "torch.softmax",
    "torch.nn.functional.softmax",
    "torch.Tensor.softmax",
    "torch.special.softmax",
    because="OneFlow's takes no `dtype=` and no keyword `input=`, and ends the process for a scalar.",
    only_with=("input", "dtype", "_stacklevel"),
)
def softmax(input, dim=None, _stacklevel=3, dtype=None):
    input = input if dtype is None else input.to(dtype)
    if input.ndim == 0:
        return flow.ones_like(input)
    return flow.softmax(input, softmax_dim(input) if dim is None else dim)


@stands_for(
    "torch.log_softmax",
    "torch.nn.functional.log_softmax",
    "torch.Tensor.log_softmax",
    "torch.special.log_softmax",
    because="OneFlow's takes no `dtype=` and no keyword `input=`, and ends the process for a scalar.",
    only_with=("input", "dtype", "_stacklevel"),
)
def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    input = input if dtype is None else input.to(dtype)
    if input.ndim == 0:
        return flow.zeros_like(input)
    return flow.log_softmax(input, softmax_dim(input) if dim is None else dim)


def softmax_dim(x):
    """The dimension that PyTorch takes when it is told none."""
    return 0 if x.ndim in (0, 1, 3) else 1


@stands_for("torch.nn.functional.softmin", because="OneFlow has no `softmin`.")
def softmin(input, dim=None, _stacklevel=3, dtype=None):
    return softmax(-input, dim, dtype=dtype)


@stands_for(
    "torch.nn.functional.gumbel_softmax", because="OneFlow's draws the same numbers for a whole row where it is hard."
)
def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    drawn = flow.rand(tuple(logits.shape), dtype=logits.dtype, device=logits.device)
    noise = -flow.log(-flow.log(flow.clamp(1 - drawn, min=1e-20, max=1 - 1e-7)))
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    chosen = flow.zeros_like(logits)
    chosen = flow.scatter(chosen, dim, flow.argmax(soft, dim=dim, keepdim=True), 1.0)
    return chosen - soft.detach() + soft


@stands_for(
    "torch.nn.functional.dropout",
    "torch.dropout",
    because="OneFlow's does not work in place, and wants other names.",
    only_with=("inplace",),
)
def dropout(input, p=0.5, training=True, inplace=False):
    if not training or p == 0:
        return input
    return finished(input, input * 0 if p == 1 else F.dropout(own(input, inplace), p=p, training=True), inplace)


@stands_for(
    "torch.nn.functional.dropout1d",
    "torch.nn.functional.dropout2d",
    "torch.nn.functional.dropout3d",
    because="OneFlow's takes no probability at all.",
)
def dropout_of_channels(input, p=0.5, training=True, inplace=False):
    return finished(input, feature_dropout(own(input, inplace), p, training), inplace)


@stands_for("torch.nn.functional.alpha_dropout", because="OneFlow has no `alpha_dropout`.")
def alpha_dropout(input, p=0.5, training=False, inplace=False):
    return finished(input, drop_to_saturation(own(input, inplace), p, training), inplace)


@stands_for("torch.nn.functional.feature_alpha_dropout", because="OneFlow has no `feature_alpha_dropout`.")
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    return finished(input, drop_to_saturation(own(input, inplace), p, training, input.ndim - 2), inplace)


@stands_for("torch._softmax_backward_data", because="OneFlow has no `_softmax_backward_data`.")
def slope_of_softmax(grad_output, output, dim, input_dtype=None):
    return output * (grad_output - (grad_output * output).sum(dim=dim, keepdim=True))


@stands_for("torch._log_softmax_backward_data", because="OneFlow has no `_log_softmax_backward_data`.")
def slope_of_log_softmax(grad_output, output, dim, input_dtype=None):
    return grad_output - flow.exp(output) * grad_output.sum(dim=dim, keepdim=True)
