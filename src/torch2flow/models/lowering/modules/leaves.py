"""Which `oneflow.nn` module stands for one call of a `torch.nn` module, its arguments found in the program.

    aten.conv2d(x, weight[128, 64, 3, 3], None, [2, 2], [1, 1])  in a torch.nn.Conv2d
    ->  nn.Conv2d(64, 128, kernel_size=3, stride=2, padding=1, bias=False)

A module rule says which operators may be the call, and gives the constructor's arguments; None where OneFlow's
module would not do the same. What no rule takes is written out as a class of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch2flow.models.program import Node

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One call of a module whose body is one operator.

    Attributes:
        node: the operator's call.
        shapes: the shape of each tensor the module owns, by attribute.
        rank: the number of dimensions of the input.
        in_place: the operator worked in place, and nothing else reads its input.
    """

    node: Node
    shapes: dict[str, tuple[int, ...]]
    rank: int
    in_place: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """An argument of the operator."""
        value = self.node.arguments.get(name, default)
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class ModuleRule:
    """A rule for a `torch.nn` class: the operators it may be, the tensors it may own, and its arguments."""

    operators: tuple[str, ...]
    owns: tuple[str, ...]
    arguments: Callable[[Leaf], Arguments | None]


MODULES: dict[str, ModuleRule] = {}


def module(
    *classes: str, calls: tuple[str, ...], owns: tuple[str, ...] = ()
) -> Callable[[Callable[[Leaf], Arguments | None]], Callable[[Leaf], Arguments | None]]:
    """Registers a module rule for one or more classes of `torch.nn`."""

    def register(function: Callable[[Leaf], Arguments | None]) -> Callable[[Leaf], Arguments | None]:
        for name in classes:
            MODULES[name] = ModuleRule(calls, owns, function)
        return function

    return register


_AFFINE = ("weight", "bias")
_RUNNING = ("running_mean", "running_var", "num_batches_tracked")


@module(
    "Conv1d", "Conv2d", "Conv3d", calls=("aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.convolution"), owns=_AFFINE
)
def conv(leaf: Leaf) -> Arguments | None:
    weight, groups = leaf.shapes["weight"], leaf.get("groups", 1)
    if isinstance(leaf.get("padding", 0), str) or leaf.get("transposed", False):
        return None
    return {
        "in_channels": weight[1] * groups,
        "out_channels": weight[0],
        "kernel_size": weight[2:],
        "stride": leaf.get("stride", 1),
        "padding": leaf.get("padding", 0),
        "dilation": leaf.get("dilation", 1),
        "groups": groups,
        "bias": "bias" in leaf.shapes,
    }


@module(
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    calls=("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d"), owns=_AFFINE,
)  # fmt: skip
def conv_transpose(leaf: Leaf) -> Arguments | None:
    weight, groups = leaf.shapes["weight"], leaf.get("groups", 1)
    return {
        "in_channels": weight[0],
        "out_channels": weight[1] * groups,
        "kernel_size": weight[2:],
        "stride": leaf.get("stride", 1),
        "padding": leaf.get("padding", 0),
        "output_padding": leaf.get("output_padding", 0),
        "groups": groups,
        "bias": "bias" in leaf.shapes,
        "dilation": leaf.get("dilation", 1),
    }


@module("Linear", "NonDynamicallyQuantizableLinear", calls=("aten.linear",), owns=_AFFINE)
def linear(leaf: Leaf) -> Arguments | None:
    weight = leaf.shapes["weight"]
    if leaf.rank < 2:
        return None  # OneFlow's linear takes no vector.
    return {"in_features": weight[1], "out_features": weight[0], "bias": "bias" in leaf.shapes}


@module("Embedding", calls=("aten.embedding",), owns=("weight",))
def embedding(leaf: Leaf) -> Arguments | None:
    padding = leaf.get("padding_idx", -1)
    rows, columns = leaf.shapes["weight"]
    return {"num_embeddings": rows, "embedding_dim": columns, "padding_idx": None if padding == -1 else padding}


@module(
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d",
    calls=("aten.batch_norm", "aten._native_batch_norm_legit_no_training", "aten._native_batch_norm_legit_functional"),
    owns=(*_AFFINE, *_RUNNING),
)  # fmt: skip
def batch_norm(leaf: Leaf) -> Arguments | None:
    owned = set(leaf.shapes)
    size = next(iter(leaf.shapes.values()), ())
    if not size or len(owned & set(_AFFINE)) == 1:
        return None  # OneFlow ignores a weight without a bias.
    return {
        "num_features": size[0],
        "eps": leaf.get("eps", 1e-5),
        "momentum": leaf.get("momentum", 0.1),
        "affine": "weight" in owned,
        "track_running_stats": "running_mean" in owned,
    }


@module("LayerNorm", calls=("aten.layer_norm", "aten.native_layer_norm"), owns=_AFFINE)
def layer_norm(leaf: Leaf) -> Arguments | None:
    if len(set(leaf.shapes)) == 1:
        return None  # OneFlow ignores a weight without a bias.
    shape = leaf.get("normalized_shape")
    return {
        "normalized_shape": shape[0] if len(shape) == 1 else shape,
        "eps": leaf.get("eps", 1e-5),
        "elementwise_affine": "weight" in leaf.shapes,
    }


@module("GroupNorm", calls=("aten.group_norm",), owns=_AFFINE)
def group_norm(leaf: Leaf) -> Arguments | None:
    if set(leaf.shapes) != set(_AFFINE):
        return None
    return {
        "num_groups": leaf.get("num_groups"),
        "num_channels": leaf.shapes["weight"][0],
        "eps": leaf.get("eps", 1e-5),
        "affine": True,
    }


@module("Dropout", calls=("aten.dropout",))
def dropout(leaf: Leaf) -> Arguments | None:
    return {"p": leaf.get("p", 0.5), "inplace": leaf.in_place}


_ACTIVATIONS = {
    "ReLU": "relu", "SiLU": "silu", "Mish": "mish", "Hardswish": "hardswish", "Hardsigmoid": "hardsigmoid",
    "SELU": "selu",
}  # fmt: skip


def _activation(leaf: Leaf) -> Arguments | None:
    return {"inplace": leaf.in_place}


def _plain(leaf: Leaf) -> Arguments | None:
    return {}


for _name, _operator in _ACTIVATIONS.items():
    module(_name, calls=(f"aten.{_operator}",))(_activation)
for _name, _operator in {"Sigmoid": "sigmoid", "Tanh": "tanh", "LogSigmoid": "log_sigmoid"}.items():
    module(_name, calls=(f"aten.{_operator}",))(_plain)


@module("GELU", calls=("aten.gelu",))
def gelu(leaf: Leaf) -> Arguments | None:
    return {"approximate": leaf.get("approximate", "none")}


@module("ReLU6", calls=("aten.relu6", "aten.hardtanh"))
def relu6(leaf: Leaf) -> Arguments | None:
    return {"inplace": leaf.in_place}


@module("Hardtanh", calls=("aten.hardtanh",))
def hardtanh(leaf: Leaf) -> Arguments | None:
    return {"min_val": leaf.get("min_val", -1.0), "max_val": leaf.get("max_val", 1.0), "inplace": leaf.in_place}


@module("LeakyReLU", calls=("aten.leaky_relu",))
def leaky_relu(leaf: Leaf) -> Arguments | None:
    return {"negative_slope": leaf.get("negative_slope", 0.01), "inplace": leaf.in_place}


@module("ELU", calls=("aten.elu",))
def elu(leaf: Leaf) -> Arguments | None:
    return {"alpha": leaf.get("alpha", 1.0), "inplace": leaf.in_place}


@module("PReLU", calls=("aten.prelu",), owns=("weight",))
def prelu(leaf: Leaf) -> Arguments | None:
    return {"num_parameters": leaf.shapes["weight"][0]}


@module("Softplus", calls=("aten.softplus",))
def softplus(leaf: Leaf) -> Arguments | None:
    return {"beta": leaf.get("beta", 1), "threshold": leaf.get("threshold", 20)}


@module("Softmax", "LogSoftmax", calls=("aten.softmax", "aten.log_softmax"))
def softmax(leaf: Leaf) -> Arguments | None:
    return {"dim": leaf.get("dim")} if leaf.get("dtype") is None else None


@module("GLU", calls=("aten.glu",))
def glu(leaf: Leaf) -> Arguments | None:
    return {"dim": leaf.get("dim", -1)}


@module("Flatten", calls=("aten.flatten",))
def flatten(leaf: Leaf) -> Arguments | None:
    return {"start_dim": leaf.get("start_dim", 0), "end_dim": leaf.get("end_dim", -1)}


@module("MaxPool1d", "MaxPool2d", "MaxPool3d", calls=("aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d"))
def max_pool(leaf: Leaf) -> Arguments | None:
    stride = leaf.get("stride", ())
    return {
        "kernel_size": leaf.get("kernel_size"),
        "stride": stride if stride and stride != leaf.get("kernel_size") else None,
        "padding": leaf.get("padding", 0),
        "dilation": leaf.get("dilation", 1),
        "ceil_mode": leaf.get("ceil_mode", False),
    }


@module("AvgPool1d", "AvgPool2d", "AvgPool3d", calls=("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d"))
def avg_pool(leaf: Leaf) -> Arguments | None:
    stride = leaf.get("stride", ())
    if leaf.get("divisor_override") is not None:
        return None
    return {
        "kernel_size": leaf.get("kernel_size"),
        "stride": stride if stride and stride != leaf.get("kernel_size") else None,
        "padding": leaf.get("padding", 0),
        "ceil_mode": leaf.get("ceil_mode", False),
        "count_include_pad": leaf.get("count_include_pad", True),
    }


@module(
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
    calls=("aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d"),
)  # fmt: skip
def adaptive_avg_pool(leaf: Leaf) -> Arguments | None:
    return {"output_size": leaf.get("output_size")}


@module("PixelShuffle", calls=("aten.pixel_shuffle",))
def pixel_shuffle(leaf: Leaf) -> Arguments | None:
    return {"upscale_factor": leaf.get("upscale_factor")}
