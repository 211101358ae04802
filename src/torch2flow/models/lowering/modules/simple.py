"""Containers, and modules without a weight: activations, pooling, padding, other sizes."""

from __future__ import annotations

from torch2flow.models.lowering.modules.reading import construct_whole, expect, make, plain, same_arguments, sizes
from torch2flow.models.lowering.modules.table import (
    CLASSES,
    AnyModule,
    Made,
    ModuleCall,
    RefusedModuleError,
    torch_classes,
)
from torch2flow.models.program.pickled import PickledModule

torch_classes("""
    Identity(): alias
    Dropout(p=0.5, inplace=False): dropout
    ReLU(inplace=False): relu
    ReLU6(): relu6 hardtanh
    GELU(approximate='none'): gelu
    SiLU(inplace=False): silu
    Sigmoid(): sigmoid
    Tanh(): tanh
    Hardswish(): hardswish
    Hardsigmoid(inplace=False): hardsigmoid
    Hardtanh(min_val=-1.0, max_val=1.0): hardtanh
    LeakyReLU(negative_slope=0.01, inplace=False): leaky_relu
    ELU(alpha=1.0): elu
    SELU(inplace=False): selu
    CELU(alpha=1.0, inplace=False) = celu
    Softplus(beta=1, threshold=20): softplus
    Softsign() = abs add div
    GLU(dim=-1): glu
    Hardshrink(lambd=0.5) = hardshrink
    Softshrink(lambd=0.5) = softshrink
    Threshold(threshold, value) = threshold
    Unfold(kernel_size, dilation=1, padding=0, stride=1): im2col
    AdaptiveAvgPool{d}d(output_size): adaptive_avg_pool{d}d
    MaxUnpool{d}d(kernel_size, stride=None, padding=0)
    PixelShuffle(upscale_factor): pixel_shuffle
    CosineSimilarity(dim=1, eps=1e-08)
    Mish: mish; LogSigmoid: log_sigmoid; Tanhshrink; Softmin; Softmax2d; RReLU; AlphaDropout
    ChannelShuffle = channel_shuffle; PixelUnshuffle = pixel_unshuffle; LocalResponseNorm
""")(same_arguments)


@torch_classes("Sequential; ModuleList; ModuleDict")
def container(module: PickledModule) -> Made:
    return Made(f"nn.{module.known_as}")


@torch_classes("DataParallel; DistributedDataParallel")
def data_parallel(module: PickledModule) -> Made:
    if list(module.children) != ["module"]:
        raise RefusedModuleError("it holds no module")
    inner = construct_whole(module.children["module"])
    return Made("DataParallel", {"module": inner}, children={"module": inner})


@torch_classes("Softmax(dim=None): softmax; LogSoftmax(dim=None): log_softmax")
def softmax(module: AnyModule) -> Made:
    expect(module, dtype=None)
    return same_arguments(module)


@torch_classes("Flatten(start_dim=1, end_dim=-1): flatten")
def flatten(module: AnyModule) -> Made:
    default = 0 if isinstance(module, ModuleCall) else 1  # The operator's is not the module's.
    return make("nn.Flatten", module, start_dim=module.get("start_dim", default))


@torch_classes("""
    MaxPool{d}d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False): max_pool{d}d
    AvgPool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True): avg_pool1d
    AvgPool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=0): avg_pool2d
    AvgPool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=0): avg_pool3d
""")  # noqa: E501
def pool(module: AnyModule) -> Made:
    kernel, stride = plain(module.get("kernel_size"), "kernel_size"), plain(module.get("stride"), "stride")
    given = {"kernel_size": kernel, "stride": None if stride in ((), kernel) else stride}
    return make(f"nn.{module.known_as}", module, **given, divisor_override=module.get("divisor_override") or 0)


@torch_classes("LPPool{d}d")
def lp_pool(module: PickledModule) -> Made:
    dims = int(module.known_as[6])
    kernel = sizes(module.get("kernel_size"), dims)
    stride = module.get("stride")
    return make("LPPool", module, kernel_size=kernel, stride=kernel if stride is None else sizes(stride, dims))


_PADS = {"Constant": "constant", "Zero": "constant", "Reflection": "reflect", "Replication": "replicate",
         "Circular": "circular"}  # fmt: skip


@torch_classes("""
    ConstantPad{d}d(padding, value=0) = pad; CircularPad{d}d = pad
    ZeroPad1d = pad; ZeroPad2d(padding) = pad; ZeroPad3d = pad
    ReflectionPad1d(padding) = pad; ReflectionPad2d(padding) = pad; ReflectionPad3d = pad
    ReplicationPad1d(padding) = pad; ReplicationPad2d(padding) = pad; ReplicationPad3d = pad
""")
def pad(module: AnyModule) -> Made:
    kind, dims = module.known_as[:-2].removesuffix("Pad"), int(module.known_as[-2])
    padding = sizes(module.get("padding"), 2 * dims)
    if CLASSES[module.known_as].signature:
        return make(f"nn.{module.known_as}", module, padding=padding)
    return make("Pad", {}, padding=padding, mode=_PADS[kind], value=module.get("value", 0.0))


@torch_classes("""
    Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None) = *upsample_*
    UpsamplingNearest2d = upsample_nearest2d
    UpsamplingBilinear2d = upsample_bilinear2d
""")
def upsample(module: AnyModule) -> Made:
    expect(module, recompute_scale_factor=None)
    return make("UpsampleExact" if module.get("mode") == "nearest-exact" else "nn.Upsample", module)


@torch_classes("AdaptiveMaxPool{d}d(output_size, return_indices=False) = adaptive_max_pool{d}d")
def adaptive_max_pool(module: AnyModule) -> Made:
    size = plain(module.get("output_size"), "output_size")
    if size is None or (isinstance(size, tuple) and None in size):
        raise RefusedModuleError("OneFlow has no None in output_size")
    return same_arguments(module)


@torch_classes("Fold(output_size, kernel_size, dilation=1, padding=0, stride=1): col2im")
def fold(module: AnyModule) -> Made:
    size = module.get("output_size")
    return make("nn.Fold", module, output_size=(size, size) if isinstance(size, int) else size)


@torch_classes("Unflatten = unflatten")
def unflatten(module: AnyModule) -> Made:
    size = plain(module.get("unflattened_size"), "unflattened_size")
    if not isinstance(module.get("dim"), int) or not all(isinstance(each, int) for each in size):
        raise RefusedModuleError("its dimensions have names")
    return make("Unflatten", module, unflattened_size=size)


@torch_classes("Dropout{d}d")
def channel_dropout(module: PickledModule) -> Made:
    return make("ChannelDropout", module, dims=int(module.known_as[-2]))


@torch_classes("FeatureAlphaDropout")
def feature_alpha_dropout(module: PickledModule) -> Made:
    return make("AlphaDropout", module, whole_channels=True)


@torch_classes("PairwiseDistance")
def distance(module: PickledModule) -> Made:
    return make("PairwiseDistance", module, p=plain(module.get("norm", 2.0), "norm"))
