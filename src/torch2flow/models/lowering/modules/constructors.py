"""Which constructor makes a module like a pickled one: the class, its arguments, and what it then holds.

    Conv2d {kernel_size: (3, 3), stride: (2, 2), padding_mode: 'zeros', ...}, weight [128, 64, 3, 3], no bias
    ->  nn.Conv2d(64, 128, 3, stride=2, bias=False)

A rule takes the pickled module and gives a `Made`. Sizes come from the tensors, which the weights must fit, and
everything else from the attributes; what neither OneFlow's class nor one of `classes/` can do is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch2flow.checkpoints.pickles import Global, Opaque, label
from torch2flow.models.lowering.modules.library import own_signature
from torch2flow.models.lowering.modules.signatures import signatures
from torch2flow.models.program.pickled import PickledModule


class RefusedError(Exception):
    """No OneFlow module does what this one does; the text says why."""


class UnknownClassError(RefusedError):
    """The code of the class is not in the file."""


@dataclass(slots=True)
class Made:
    """A constructor's call, and what the module then holds.

    Attributes:
        function: `nn.Conv2d`, or the name of a definition of `classes/`.
        arguments: by name; numbers, texts, tuples of them, `Code`, or other calls.
        tensors: its parameters and buffers by name, with their shapes.
        children: its modules by name: those that the constructor makes, or for a container those it is given.
    """

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)
    children: dict[str, Made] = field(default_factory=dict)

    @property
    def is_container(self) -> bool:
        return self.function in ("nn.Sequential", "nn.ModuleList", "nn.ModuleDict")

    def defaults(self) -> dict[str, Any]:
        """The constructor's arguments in order, and their defaults."""
        return signature(self.function)


@dataclass(frozen=True, slots=True)
class Code:
    """An argument that is an expression: `F.silu`."""

    text: str


Rule = Callable[[PickledModule], Made]
RULES: dict[str, Rule] = {}


def signature(function: str) -> dict[str, Any]:
    """A constructor's arguments in order, and their defaults; `...` for one without."""
    if function.startswith("nn."):
        return signatures().get(function.removeprefix("nn."), {})
    return own_signature(function)


def construct(module: PickledModule) -> Made:
    """The constructor's call that makes such a module, without what was changed or added to it afterwards.

    Raises:
        UnknownClassError: the code of its class is not in the file.
        RefusedError: OneFlow can't do what it does.
    """
    rule = RULES.get(module.known_as)
    if rule is None:
        raise UnknownClassError(f"{label(Global(module.class_name))} is no class whose forward is known")
    if "forward" in module.attributes:
        raise RefusedError("its forward was replaced by another")
    for kind, name in module.hooks():
        raise RefusedError(f"it has {kind}, {name}")
    try:
        made = rule(module)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        raise RefusedError("its attributes are not as its class makes them") from None
    made.arguments = {
        name: value if isinstance(value, Made | Code) else plain(value, name) for name, value in made.arguments.items()
    }
    return made


def module(*classes: str) -> Callable[[Rule], Rule]:
    """Registers the rule for one or more classes of `torch.nn`."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(classes, rule))
        return rule

    return register


# What a module says of itself.


_LONGEST = 16
"""Numbers in a tuple: a size has at most a few dimensions, and a file may hold anything."""


def plain(value: Any, name: str) -> Any:
    """An attribute as a literal: a number, a text, a flat tuple of them.

    Raises:
        RefusedError: it is anything else.
    """
    if isinstance(value, list | tuple) and len(value) <= _LONGEST:
        if any(isinstance(item, list | tuple) for item in value):
            raise RefusedError(f"its attribute {name!r} is nested")
        return tuple(plain(item, name) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RefusedError(f"its attribute {name!r} is {label(value)}")


def _make(function: str, values: PickledModule | dict[str, Any], *own: str, **given: Any) -> Made:
    """A call with the arguments that the signature names: as given, or else the attributes of these names."""
    arguments = {}
    for name, default in signature(function).items():
        if name in given:
            arguments[name] = given[name]
            continue
        value = values.get(name, default)
        if value is ...:
            raise RefusedError(f"it has no attribute {name!r}")
        arguments[name] = plain(value, name)
    shapes = {name: values.shape(name) for name in own} if isinstance(values, PickledModule) else {}
    return Made(function, arguments, shapes)


def _expect(module: PickledModule, **values: Any) -> None:
    """Refuses what OneFlow has no argument for, unless it is as these values say."""
    for name, value in values.items():
        found = module.get(name, value)
        if found != value and not (found is False and value is None):
            raise RefusedError(f"OneFlow has no {name}={plain(found, name)!r}")


def _shape(module: PickledModule, name: str, dims: int = 0) -> tuple[int, ...]:
    shape = module.shape(name)
    if not shape or (dims and len(shape) != dims):
        raise RefusedError(f"its {name} is not as its class makes it")
    return shape


def _sized(made: Made, **shapes: tuple[int, ...]) -> Made:
    """Says which shapes the constructor gives to those of these tensors that it makes."""
    made.tensors |= {name: shape for name, shape in shapes.items() if name in made.tensors}
    return made


def _affine(module: PickledModule) -> tuple[str, ...]:
    return tuple(name for name in ("weight", "bias") if module.shape(name))


def _tuple(value: Any, count: int) -> tuple[int, ...]:
    value = plain(value, "size")
    return value if isinstance(value, tuple) else (value,) * count


def _int(module: PickledModule, name: str, default: int = 1) -> int:
    value = module.get(name, default)
    if not isinstance(value, int):
        raise RefusedError(f"its {name} is no number")
    return value


# Containers.


@module("Sequential", "ModuleList", "ModuleDict")
def container(module: PickledModule) -> Made:
    return Made(f"nn.{module.known_as}")


@module("DataParallel", "DistributedDataParallel")
def data_parallel(module: PickledModule) -> Made:
    if list(module.children) != ["module"]:
        raise RefusedError("it holds no module")
    inner = construct_whole(module.children["module"])
    return Made("DataParallel", {"module": inner}, children={"module": inner})


def construct_whole(module: PickledModule) -> Made:
    """The call for a module that is an argument of another's constructor, with the children it is to have."""
    made = construct(module)
    if made.is_container:
        made.children = {name: construct_whole(child) for name, child in module.children.items()}
    return made


# Layers.


@module("Conv1d", "Conv2d", "Conv3d")
def conv(module: PickledModule) -> Made:
    dims = int(module.known_as[4])
    weight, groups = _shape(module, "weight", dims + 2), _int(module, "groups")
    sizes: dict[str, Any] = {
        "in_channels": weight[1] * groups,
        "out_channels": weight[0],
        "kernel_size": weight[2:],
        "bias": bool(module.shape("bias")),
    }
    padding, dilation = module.get("padding", 0), _tuple(module.get("dilation", 1), dims)
    if padding == "same":
        whole = [step * (kernel - 1) for step, kernel in zip(dilation, weight[2:], strict=True)]
        edges = [(total // 2, total - total // 2) for total in whole]
    elif padding == "valid":
        edges = [(0, 0)] * dims
    else:
        edges = [(size, size) for size in _tuple(padding, dims)]
    mode = plain(module.get("padding_mode", "zeros"), "padding_mode")
    if all(left == right for left, right in edges) and (mode == "zeros" or not any(map(sum, edges))):
        made = _make(f"nn.{module.known_as}", module, *_affine(module), **sizes, padding=tuple(e[0] for e in edges))
        return _sized(made, bias=weight[:1])
    if mode not in ("zeros", "reflect", "replicate", "circular"):
        raise RefusedError(f"padding_mode={mode!r} is not known")
    made = _make(f"nn.{module.known_as}", module, *_affine(module), **sizes, padding=0)
    made.function = f"PaddedConv{dims}d"
    made.arguments["edges"] = tuple(size for pair in reversed(edges) for size in pair)
    made.arguments["padding_mode"] = "constant" if mode == "zeros" else mode
    return _sized(made, bias=weight[:1])


@module("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
def conv_transpose(module: PickledModule) -> Made:
    weight, groups = _shape(module, "weight", int(module.known_as[13]) + 2), _int(module, "groups")
    out = weight[1] * groups
    made = _make(
        f"nn.{module.known_as}", module, *_affine(module), in_channels=weight[0], out_channels=out,
        kernel_size=weight[2:], bias=bool(module.shape("bias")),
    )  # fmt: skip
    return _sized(made, bias=(out,))


@module("Linear")
def linear(module: PickledModule) -> Made:
    rows, columns = _shape(module, "weight", 2)
    bias = bool(module.shape("bias"))
    made = _make("nn.Linear", module, *_affine(module), in_features=columns, out_features=rows, bias=bias)
    return _sized(made, bias=(rows,))


@module("Bilinear")
def bilinear(module: PickledModule) -> Made:
    out, first, second = _shape(module, "weight", 3)
    bias = bool(module.shape("bias"))
    sizes = {"in1_features": first, "in2_features": second, "out_features": out}
    return _sized(_make("Bilinear", module, *_affine(module), **sizes, bias=bias), bias=(out,))


@module("Embedding")
def embedding(module: PickledModule) -> Made:
    # `sparse` is how PyTorch keeps the gradient; its values are the same.
    rows, columns = _shape(module, "weight", 2)
    made = _make("nn.Embedding", module, "weight", num_embeddings=rows, embedding_dim=columns)
    if module.get("max_norm") is not None:
        made.function = "Embedding"
        made.arguments |= {"max_norm": module.get("max_norm"), "norm_type": module.get("norm_type", 2.0)}
    return made


@module("EmbeddingBag")
def embedding_bag(module: PickledModule) -> Made:
    _expect(module, max_norm=None, scale_grad_by_freq=False)
    rows, columns = _shape(module, "weight", 2)
    return _make("EmbeddingBag", module, "weight", num_embeddings=rows, embedding_dim=columns)


@module("PReLU")
def prelu(module: PickledModule) -> Made:
    return _make("nn.PReLU", module, "weight", num_parameters=_shape(module, "weight")[0])


# Normalizations.


def _norm_arguments(module: PickledModule) -> dict[str, Any]:
    own = _affine(module)
    track = bool(module.shape("running_mean"))
    if own == ("bias",):
        raise RefusedError("it has a bias alone")
    if bool(module.get("track_running_stats", track)) != track:
        raise RefusedError("its track_running_stats was changed after it was made")
    shape = module.shape("weight") or module.shape("running_mean") or (module.get("num_features"),)
    given = {"num_features": shape[0], "affine": bool(own), "track_running_stats": track}
    return given | ({"bias": False} if own == ("weight",) else {})


def _norm(name: str, module: PickledModule, given: dict[str, Any]) -> Made:
    # PyTorch before 0.4.1 did not count batches; OneFlow's module then begins at 0 by itself.
    running = ("running_mean", "running_var", "num_batches_tracked") if given["track_running_stats"] else ()
    made = _make(name, module, *_affine(module), *running, **given)
    size = (given["num_features"],)
    return _sized(made, weight=size, bias=size, running_mean=size, running_var=size, num_batches_tracked=())


@module("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
def batch_norm(module: PickledModule) -> Made:
    given = _norm_arguments(module)
    track = given["track_running_stats"]
    usual = module.get("momentum", 0.1) is not None and track and "bias" not in given
    usual = usual and module.known_as != "SyncBatchNorm"  # OneFlow's is for GPUs alone.
    name = f"nn.{module.known_as}" if usual else "BatchNorm"
    return _norm(name, module, given)


@module("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def instance_norm(module: PickledModule) -> Made:
    given = _norm_arguments(module)
    track = given["track_running_stats"]
    usual = not track and "bias" not in given
    return _norm(f"nn.{module.known_as}" if usual else "InstanceNorm", module, given)


@module("LayerNorm", "RMSNorm")
def layer_norm(module: PickledModule) -> Made:
    own = _affine(module)
    if own == ("bias",):
        raise RefusedError("it has a bias alone")
    shape = tuple(module.get("normalized_shape", ())) or _shape(module, "weight")
    given = {"normalized_shape": shape[0] if len(shape) == 1 else shape, "elementwise_affine": bool(own)}
    if module.known_as == "RMSNorm":
        made = _make("RMSNorm", module, *own, **given)
    elif own == ("weight",):
        made = _make("LayerNorm", module, *own, **given, bias=False)
    else:
        made = _make("nn.LayerNorm", module, *own, **given)
    return _sized(made, weight=shape, bias=shape)


@module("GroupNorm")
def group_norm(module: PickledModule) -> Made:
    own = _affine(module)
    if own == ("bias",):
        raise RefusedError("it has a bias alone")
    made = _make("GroupNorm", module, *own) if own == ("weight",) else _make("nn.GroupNorm", module, affine=bool(own))
    size = (_int(module, "num_channels"),)
    made.tensors = dict.fromkeys(own, size)
    return made


# Pooling, padding, sizes.


@module("MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d")
def pool(module: PickledModule) -> Made:
    kernel, stride = plain(module.get("kernel_size"), "kernel_size"), plain(module.get("stride"), "stride")
    given = {"kernel_size": kernel, "stride": None if stride == kernel else stride}
    if module.known_as in ("AvgPool2d", "AvgPool3d"):
        given["divisor_override"] = module.get("divisor_override") or 0
    return _make(f"nn.{module.known_as}", module, **given)


@module("LPPool1d", "LPPool2d", "LPPool3d")
def lp_pool(module: PickledModule) -> Made:
    dims = int(module.known_as[6])
    kernel = _tuple(module.get("kernel_size"), dims)
    stride = module.get("stride")
    return _make("LPPool", module, kernel_size=kernel, stride=kernel if stride is None else _tuple(stride, dims))


_PADS = {"Constant": "constant", "Zero": "constant", "Reflection": "reflect", "Replication": "replicate",
         "Circular": "circular"}  # fmt: skip


@module(*(f"{kind}Pad{dims}d" for kind in _PADS for dims in (1, 2, 3)))
def pad(module: PickledModule) -> Made:
    kind, dims = module.known_as[:-2].removesuffix("Pad"), int(module.known_as[-2])
    padding = _tuple(module.get("padding"), 2 * dims)
    if module.known_as in signatures():
        return _make(f"nn.{module.known_as}", module, padding=padding)
    return _make("Pad", {}, padding=padding, mode=_PADS[kind], value=module.get("value", 0.0))


@module("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d")
def upsample(module: PickledModule) -> Made:
    _expect(module, recompute_scale_factor=None)
    if module.get("mode") == "nearest-exact":
        return _make("UpsampleExact", module)
    return _make("nn.Upsample", module)


@module("Unflatten")
def unflatten(module: PickledModule) -> Made:
    size = plain(module.get("unflattened_size"), "unflattened_size")
    if not isinstance(module.get("dim"), int) or not all(isinstance(each, int) for each in size):
        raise RefusedError("its dimensions have names")
    return _make("Unflatten", module, unflattened_size=size)


@module("Dropout1d", "Dropout2d", "Dropout3d")
def channel_dropout(module: PickledModule) -> Made:
    return _make("ChannelDropout", module, dims=int(module.known_as[-2]))


@module("FeatureAlphaDropout")
def feature_alpha_dropout(module: PickledModule) -> Made:
    return _make("AlphaDropout", module, whole_channels=True)


@module(
    "Identity", "Dropout", "ReLU", "ReLU6", "GELU", "SiLU", "Mish", "Sigmoid",
    "Tanh", "Hardswish", "Hardsigmoid", "Hardtanh", "LeakyReLU", "ELU", "SELU", "CELU", "Softplus", "Softsign",
    "LogSigmoid", "Softmax", "LogSoftmax", "GLU", "Hardshrink", "Softshrink", "Threshold", "Flatten", "Fold", "Unfold",
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "PixelShuffle", "CosineSimilarity", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
)  # fmt: skip
def same(module: PickledModule) -> Made:
    """Modules of OneFlow's whose arguments are attributes of the same names."""
    return _make(f"nn.{module.known_as}", module)


@module("PairwiseDistance")
def distance(module: PickledModule) -> Made:
    return _make("PairwiseDistance", module, p=plain(module.get("norm", 2.0), "norm"))


@module("Tanhshrink", "Softmin", "Softmax2d", "RReLU", "AlphaDropout", "ChannelShuffle", "PixelUnshuffle",
        "LocalResponseNorm")  # fmt: skip
def own(module: PickledModule) -> Made:
    """Modules of `classes/` whose arguments are attributes of the same names."""
    return _make(module.known_as, module)


# Recurrent networks.

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@module("LSTM", "GRU", "RNN")
def recurrent(module: PickledModule) -> Made:
    made = _make(f"nn.{module.known_as}", module)
    given = made.arguments
    if module.known_as == "RNN":
        given["nonlinearity"] = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(module.get("mode"), "tanh")
    hidden, directions = given["hidden_size"], 2 if given["bidirectional"] else 1
    rows, projected = _GATES[module.known_as] * hidden, given.get("proj_size", 0) or hidden
    if given["num_layers"] > len(module.parameters):
        raise RefusedError("it has fewer weights than layers")
    for layer in range(given["num_layers"]):
        size = given["input_size"] if layer == 0 else projected * directions
        for suffix in (f"_l{layer}", f"_l{layer}_reverse")[:directions]:
            made.tensors |= {f"weight_ih{suffix}": (rows, size), f"weight_hh{suffix}": (rows, projected)}
            if given["bias"]:
                made.tensors |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)}
            if given.get("proj_size", 0):
                made.tensors[f"weight_hr{suffix}"] = (projected, hidden)
    return made


@module("LSTMCell", "GRUCell", "RNNCell")
def cell(module: PickledModule) -> Made:
    rows, size = _shape(module, "weight_ih", 2)
    bias = bool(module.shape("bias_ih"))
    names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if bias else ()))
    hidden = rows // _GATES[module.known_as.removesuffix("Cell")]
    made = _make(module.known_as, module, *names, input_size=size, hidden_size=hidden, bias=bias)
    return _sized(made, weight_hh=(rows, hidden), bias_ih=(rows,), bias_hh=(rows,))


# Attention.


def _linear(columns: int, rows: int, bias: bool) -> Made:
    tensors: dict[str, tuple[int, ...]] = {"weight": (rows, columns)} | ({"bias": (rows,)} if bias else {})
    return Made("nn.Linear", {"in_features": columns, "out_features": rows, "bias": bias}, tensors)


def _dropout(rate: float) -> Made:
    return Made("nn.Dropout", {"p": rate, "inplace": False})


def _layer_norm(size: int, eps: float, bias: bool) -> Made:
    tensors: dict[str, tuple[int, ...]] = {name: (size,) for name in ("weight", "bias")[: 1 + bias]}
    given = {"normalized_shape": size, "eps": eps, "elementwise_affine": True}
    return Made("nn.LayerNorm", given, tensors) if bias else Made("LayerNorm", given | {"bias": False}, tensors)


def _attention(given: dict[str, Any]) -> Made:
    size, bias = given["embed_dim"], given["bias"]
    made = _make("MultiheadAttention", given)
    kdim, vdim = (given.get(name) or size for name in ("kdim", "vdim"))
    if kdim == vdim == size:
        made.tensors["in_proj_weight"] = (3 * size, size)
    else:
        made.tensors |= {"q_proj_weight": (size, size), "k_proj_weight": (size, kdim), "v_proj_weight": (size, vdim)}
    if bias:
        made.tensors["in_proj_bias"] = (3 * size,)
    if given.get("add_bias_kv"):
        made.tensors |= {"bias_k": (1, 1, size), "bias_v": (1, 1, size)}
    made.children["out_proj"] = _linear(size, size, bias)
    return made


@module("MultiheadAttention")
def attention(module: PickledModule) -> Made:
    size = module.get("embed_dim")
    given = {name: plain(module.get(name), name) for name in ("embed_dim", "num_heads", "dropout")}
    given |= {name: bool(module.get(name, False)) for name in ("add_zero_attn", "batch_first")}
    given |= {name: None if module.get(name) == size else module.get(name) for name in ("kdim", "vdim")}
    given["bias"] = bool(module.shape("in_proj_bias"))
    given["add_bias_kv"] = bool(module.shape("bias_k"))
    if module.get("_qkv_same_embed_dim") is False and given["kdim"] is None and given["vdim"] is None:
        raise RefusedError("it keeps three weights of one size")
    return _attention(given)


_ACTIVATIONS = {
    name: Code(f"F.{name}")
    for name in ("silu", "elu", "selu", "celu", "mish", "hardswish", "leaky_relu", "relu6", "sigmoid", "tanh")
}


def _activation(layer: PickledModule) -> Any:
    """The argument `activation`: a function's name, an expression, or a module's constructor."""
    if "activation" in layer.children:
        return construct_whole(layer.children["activation"])
    name = _function_name(layer.get("activation", Global("torch.nn.functional.relu")))
    short = name.rpartition(".")[2]
    if name.startswith("torch.") and short in ("relu", "gelu"):
        return short
    if name.startswith("torch.") and short in _ACTIVATIONS:
        return _ACTIVATIONS[short]
    raise RefusedError(f"its activation is {name}")


def _function_name(value: Any) -> str:
    """The name of a function in a pickle; `torch.tanh` is there as `getattr(torch._C._VariableFunctions, "tanh")`."""
    if isinstance(value, Opaque) and value.class_name.endswith(".getattr") and len(value.args) == 2:
        owner, name = value.args
        return f"{label(owner)}.{label(name)}"
    return label(value)


def _child(module: PickledModule, name: str, *classes: str) -> PickledModule:
    child = module.children.get(name)
    if child is None or (classes and child.known_as not in classes):
        raise RefusedError(f"its {name!r} is {'missing' if child is None else child.class_name}")
    return child


@module("TransformerEncoderLayer", "TransformerDecoderLayer")
def transformer_layer(module: PickledModule) -> Made:
    attention = _child(module, "self_attn", "MultiheadAttention")
    rows, columns = _shape(_child(module, "linear1"), "weight", 2)
    activation = _activation(module)
    given = {
        "d_model": columns,
        "nhead": attention.get("num_heads"),
        "dim_feedforward": rows,
        "dropout": plain(attention.get("dropout", 0.0), "dropout"),
        "activation": activation,
        "layer_norm_eps": plain(_child(module, "norm1").get("eps", 1e-05), "eps"),
        "batch_first": bool(attention.get("batch_first", False)),
        "norm_first": bool(module.get("norm_first", False)),
        "bias": bool(module.children["linear1"].shape("bias")),
    }
    return _transformer_layer(module.known_as, given)


def _transformer_layer(name: str, given: dict[str, Any]) -> Made:
    size, wide, rate, bias = given["d_model"], given["dim_feedforward"], given["dropout"], given["bias"]
    heads = {"embed_dim": size, "num_heads": given["nhead"], "dropout": rate, "bias": bias}
    heads["batch_first"] = given["batch_first"]
    count = 3 if name == "TransformerDecoderLayer" else 2
    children = {"self_attn": _attention(heads)}
    if count == 3:
        children["multihead_attn"] = _attention(heads)
    children |= {"linear1": _linear(size, wide, bias), "dropout": _dropout(rate), "linear2": _linear(wide, size, bias)}
    children |= {f"norm{n}": _layer_norm(size, given["layer_norm_eps"], bias) for n in range(1, count + 1)}
    children |= {f"dropout{n}": _dropout(rate) for n in range(1, count + 1)}
    if isinstance(given["activation"], Made):
        children["activation"] = given["activation"]
    return Made(name, given, children=children)


@module("TransformerEncoder", "TransformerDecoder")
def transformer_stack(module: PickledModule) -> Made:
    layers = list(_child(module, "layers", "ModuleList").children.values())
    if not layers:
        raise RefusedError("it has no layers")
    norm = module.children.get("norm")
    kind = module.known_as.removeprefix("Transformer").lower()
    made = construct_whole(layers[0])
    arguments = {
        f"{kind}_layer": made,
        "num_layers": len(layers),
        "norm": None if norm is None else construct_whole(norm),
    }
    return _transformer_stack(module.known_as, arguments, made)


def _transformer_stack(name: str, arguments: dict[str, Any], layer: Made) -> Made:
    layers = Made("nn.ModuleList", children={str(n): layer for n in range(arguments["num_layers"])})
    children = {"layers": layers} | ({"norm": arguments["norm"]} if arguments["norm"] is not None else {})
    return Made(name, arguments, children=children)


@module("Transformer")
def transformer(module: PickledModule) -> Made:
    encoder, decoder = (construct_whole(_child(module, name)) for name in ("encoder", "decoder"))
    layer = encoder.arguments.get("encoder_layer")
    if isinstance(layer, Made) and layer.function == "TransformerEncoderLayer":
        made = _usual_transformer(layer.arguments, encoder, decoder)
        if made.children == {"encoder": encoder, "decoder": decoder}:
            return made
    arguments = dict(signature("Transformer"))
    arguments |= {name: plain(module.get(name), name) for name in ("d_model", "nhead")}
    arguments["batch_first"] = bool(module.get("batch_first", False))
    arguments |= {"custom_encoder": encoder, "custom_decoder": decoder}
    return Made("Transformer", arguments, children={"encoder": encoder, "decoder": decoder})


def _usual_transformer(options: dict[str, Any], encoder: Made, decoder: Made) -> Made:
    """The call that says everything of a transformer's layers in its own arguments."""
    arguments = dict(signature("Transformer")) | options
    norm = _layer_norm(options["d_model"], options["layer_norm_eps"], options["bias"])
    children = {}
    for kind, stack in (("encoder", encoder), ("decoder", decoder)):
        count = stack.arguments.get("num_layers", 0)
        layer = _transformer_layer(f"Transformer{kind.capitalize()}Layer", options)
        parts = {f"{kind}_layer": layer, "num_layers": count, "norm": norm}
        children[kind] = _transformer_stack(f"Transformer{kind.capitalize()}", parts, layer)
        arguments[f"num_{kind}_layers"] = count
    return Made("Transformer", arguments, children=children)
