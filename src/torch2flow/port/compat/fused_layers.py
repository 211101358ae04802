"""A BatchNorm in eval mode put into the layer before it: `torch.nn.utils.fusion`."""

import copy

from torch2flow.models.lowering.lazy import flow, nn
from torch2flow.port.compat.registry import stands_for

BECAUSE = "OneFlow has nothing that fuses layers."


@stands_for("torch.nn.utils.fuse_conv_bn_weights", "torch.nn.utils.fusion.fuse_conv_bn_weights", because=BECAUSE)
def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    bias = flow.zeros_like(bn_rm) if conv_b is None else conv_b
    gain = flow.rsqrt(bn_rv + bn_eps) * (flow.ones_like(bn_rm) if bn_w is None else bn_w)
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    shift = flow.zeros_like(bn_rm) if bn_b is None else bn_b
    fused = conv_w * gain.reshape(*shape), (bias - bn_rm) * gain + shift
    given = conv_b is None or conv_b.requires_grad
    return tuple(nn.Parameter(each.detach(), each_given) for each, each_given in
                 zip(fused, (conv_w.requires_grad, given), strict=True))  # fmt: skip


@stands_for("torch.nn.utils.fuse_conv_bn_eval", "torch.nn.utils.fusion.fuse_conv_bn_eval", because=BECAUSE)
def fuse_conv_bn_eval(conv, bn, transpose=False):
    if conv.training or bn.training:
        raise RuntimeError("Fusion only for eval!")
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


@stands_for("torch.nn.utils.fuse_linear_bn_weights", "torch.nn.utils.fusion.fuse_linear_bn_weights", because=BECAUSE)
def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


@stands_for("torch.nn.utils.fuse_linear_bn_eval", "torch.nn.utils.fusion.fuse_linear_bn_eval", because=BECAUSE)
def fuse_linear_bn_eval(linear, bn):
    return fuse_conv_bn_eval(linear, bn)
