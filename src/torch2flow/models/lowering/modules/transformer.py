"""Attention, and the transformers that are made of it.

A layer holds modules that its constructor makes from its arguments: which those are is said here, so that what was
changed in a pickled layer afterwards is seen.
"""

from __future__ import annotations

from typing import Any

from torch2flow.checkpoints.pickles import Global, Opaque, label
from torch2flow.models.lowering.modules.reading import construct_whole, make, plain, shape_of_tensor
from torch2flow.models.lowering.modules.table import (
    Code,
    Made,
    RecordedModule,
    RefusedModuleError,
    signature,
    torch_classes,
)
from torch2flow.models.program.pickled import PickledModule


def _linear(columns: int, rows: int, bias: bool) -> Made:
    made = make("nn.Linear", {}, in_features=columns, out_features=rows, bias=bias)
    made.tensors = {"weight": (rows, columns)} | ({"bias": (rows,)} if bias else {})
    return made


def _dropout(rate: float) -> Made:
    return make("nn.Dropout", {}, p=rate)


def _layer_norm(size: int, eps: float, bias: bool) -> Made:
    return make("nn.LayerNorm" if bias else "LayerNorm", {}, normalized_shape=size, eps=eps, bias=bias)


def _attention(given: dict[str, Any]) -> Made:
    size, bias = given["embed_dim"], given["bias"]
    made = make("MultiheadAttention", given)
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


@torch_classes("MultiheadAttention")
def attention(module: PickledModule | RecordedModule) -> Made:
    size = module.get("embed_dim")
    given = {name: plain(module.get(name), name) for name in ("embed_dim", "num_heads", "dropout")}
    given |= {name: bool(module.get(name, False)) for name in ("add_zero_attn", "batch_first")}
    given |= {name: None if module.get(name) == size else module.get(name) for name in ("kdim", "vdim")}
    given["bias"] = bool(module.shape("in_proj_bias"))
    given["add_bias_kv"] = bool(module.shape("bias_k"))
    if module.get("_qkv_same_embed_dim") is False and given["kdim"] is None and given["vdim"] is None:
        raise RefusedModuleError("it keeps three weights of one size")
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
    raise RefusedModuleError(f"its activation is {name}")


def _function_name(value: Any) -> str:
    """The name of a function in a pickle; `torch.tanh` is there as `getattr(torch._C._VariableFunctions, "tanh")`."""
    if isinstance(value, Opaque) and value.class_name.endswith(".getattr") and len(value.args) == 2:
        owner, name = value.args
        return f"{label(owner)}.{label(name)}"
    return label(value)


def _child(module: PickledModule, name: str, *classes: str) -> PickledModule:
    child = module.children.get(name)
    if child is None or (classes and child.known_as not in classes):
        raise RefusedModuleError(f"its {name!r} is {'missing' if child is None else child.class_name}")
    return child


@torch_classes("TransformerEncoderLayer; TransformerDecoderLayer")
def transformer_layer(module: PickledModule) -> Made:
    attention = _child(module, "self_attn", "MultiheadAttention")
    rows, columns = shape_of_tensor(_child(module, "linear1"), "weight", 2)
    given = {
        "d_model": columns,
        "nhead": attention.get("num_heads"),
        "dim_feedforward": rows,
        "dropout": plain(attention.get("dropout", 0.0), "dropout"),
        "activation": _activation(module),
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


@torch_classes("TransformerEncoder; TransformerDecoder")
def transformer_stack(module: PickledModule) -> Made:
    layers = list(_child(module, "layers", "ModuleList").children.values())
    if not layers:
        raise RefusedModuleError("it has no layers")
    norm = construct_whole(module.children["norm"]) if "norm" in module.children else None
    return _transformer_stack(module.known_as, construct_whole(layers[0]), len(layers), norm)


def _transformer_stack(name: str, layer: Made, count: int, norm: Made | None) -> Made:
    children = {"layers": Made("nn.ModuleList", children={str(n): layer for n in range(count)})}
    kind = name.removeprefix("Transformer").lower()
    arguments = {f"{kind}_layer": layer, "num_layers": count, "norm": norm}
    return Made(name, arguments, children=children | ({} if norm is None else {"norm": norm}))


@torch_classes("Transformer")
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
        name, count = f"Transformer{kind.capitalize()}", stack.arguments.get("num_layers", 0)
        children[kind] = _transformer_stack(name, _transformer_layer(f"{name}Layer", options), count, norm)
        arguments[f"num_{kind}_layers"] = count
    return Made("Transformer", arguments, children=children)
