"""Modules with a weight that is no normalization's: convolutions, linear layers, embeddings."""

from __future__ import annotations

from typing import Any

from torch2flow.models.lowering.modules.reading import expect, make, plain, shape_of_tensor, sizes, whole_number
from torch2flow.models.lowering.modules.table import AnyModule, Made, ModuleCall, RefusedModuleError, torch_classes
from torch2flow.models.program.pickled import PickledModule


@torch_classes("""
    Conv{d}d(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True): conv{d}d convolution
""")  # noqa: E501
def conv(module: AnyModule) -> Made:
    expect(module, transposed=False)
    dims = int(module.known_as[4])
    weight, groups = shape_of_tensor(module, "weight", dims + 2), whole_number(module, "groups")
    given: dict[str, Any] = {
        "in_channels": weight[1] * groups,
        "out_channels": weight[0],
        "kernel_size": weight[2:],
        "bias": bool(module.shape("bias")),
    }
    padding, dilation = module.get("padding", 0), sizes(module.get("dilation", 1), dims)
    if padding == "same":
        whole = [step * (kernel - 1) for step, kernel in zip(dilation, weight[2:], strict=True)]
        edges = [(total // 2, total - total // 2) for total in whole]
    elif padding == "valid":
        edges = [(0, 0)] * dims
    else:
        edges = [(size, size) for size in sizes(padding, dims)]
    mode = plain(module.get("padding_mode", "zeros"), "padding_mode")
    usual = all(left == right for left, right in edges) and (mode == "zeros" or not any(map(sum, edges)))
    if not usual and mode not in ("zeros", "reflect", "replicate", "circular"):
        raise RefusedModuleError(f"padding_mode={mode!r} is not known")
    given["padding"] = tuple(left for left, _ in edges) if usual else 0
    made = make(f"nn.{module.known_as}", module, {"weight": weight, "bias": weight[:1]}, **given)
    if not usual:
        made.function = f"PaddedConv{dims}d"
        made.arguments["edges"] = tuple(size for pair in reversed(edges) for size in pair)
        made.arguments["padding_mode"] = "constant" if mode == "zeros" else mode
    return made


@torch_classes("""
    ConvTranspose{d}d(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1): conv_transpose{d}d
""")  # noqa: E501
def conv_transpose(module: AnyModule) -> Made:
    weight = shape_of_tensor(module, "weight", int(module.known_as[13]) + 2)
    out = weight[1] * whole_number(module, "groups")
    return make(
        f"nn.{module.known_as}", module, {"weight": weight, "bias": (out,)}, in_channels=weight[0], out_channels=out,
        kernel_size=weight[2:], bias=bool(module.shape("bias")),
    )  # fmt: skip


@torch_classes("Linear(in_features, out_features, bias=True): linear")
def linear(module: AnyModule) -> Made:
    if isinstance(module, ModuleCall) and len(module.input) < 2:
        raise RefusedModuleError("OneFlow's linear takes no vector")
    rows, columns = shape_of_tensor(module, "weight", 2)
    if not columns:
        raise RefusedModuleError("OneFlow's Linear divides by its number of input features, which is 0")
    tensors, bias = {"weight": (rows, columns), "bias": (rows,)}, bool(module.shape("bias"))
    return make("nn.Linear", module, tensors, in_features=columns, out_features=rows, bias=bias)


@torch_classes("Bilinear")
def bilinear(module: PickledModule) -> Made:
    out, first, second = weight = shape_of_tensor(module, "weight", 3)
    given = {"in1_features": first, "in2_features": second, "out_features": out, "bias": bool(module.shape("bias"))}
    return make("Bilinear", module, {"weight": weight, "bias": (out,)}, **given)


@torch_classes("Embedding(num_embeddings, embedding_dim, padding_idx=None, scale_grad_by_freq=False): embedding")
def embedding(module: AnyModule) -> Made:
    # `sparse` is how PyTorch keeps the gradient; its values are the same.
    rows, columns = weight = shape_of_tensor(module, "weight", 2)
    given: dict[str, Any] = {"num_embeddings": rows, "embedding_dim": columns}
    if module.get("padding_idx") == -1:  # How the operator says that there is none.
        given["padding_idx"] = None
    made = make("nn.Embedding", module, {"weight": weight}, **given)
    if module.get("max_norm") is not None:
        made.function = "Embedding"
        made.arguments |= {"max_norm": module.get("max_norm"), "norm_type": module.get("norm_type", 2.0)}
    return made


@torch_classes("EmbeddingBag")
def embedding_bag(module: PickledModule) -> Made:
    expect(module, max_norm=None, scale_grad_by_freq=False)
    rows, columns = weight = shape_of_tensor(module, "weight", 2)
    return make("EmbeddingBag", module, {"weight": weight}, num_embeddings=rows, embedding_dim=columns)


@torch_classes("PReLU(num_parameters=1): prelu")
def prelu(module: AnyModule) -> Made:
    weight = shape_of_tensor(module, "weight")
    return make("nn.PReLU", module, {"weight": weight}, num_parameters=weight[0])
