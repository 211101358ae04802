"""Pickles models made of `torch.nn` classes, with what they compute. Run by any PyTorch: `pickled_samples.py FOLDER`.

For each sample: NAME.pth, the pickled model, and NAME.npz with its inputs, its outputs in eval mode (in float32, and
in float64 to tell the noise), and in train mode the outputs and the gradients of all parameters.
"""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def image(*shape: int) -> Any:
    return torch.randn(*(shape or (2, 4, 8, 8)))


def ints(high: int, *shape: int) -> Any:
    return torch.randint(0, high, shape)


def causal(size: int) -> Any:
    return torch.full((size, size), float("-inf")).triu(1)


def hiding(*rows: int) -> Any:
    """A padding mask: so many of five are seen in each row."""
    return torch.tensor([[column >= seen for column in range(5)] for seen in rows])


def shared() -> Any:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer)


def tied() -> Any:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def frozen() -> Any:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 4), nn.LayerNorm(4))
    model[0].requires_grad_(False)
    model[2].bias.requires_grad_(False)
    return model


def extended() -> Any:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model.register_buffer("mean", torch.randn(4))
    model.register_buffer("positions", torch.arange(40).reshape(1, 40), persistent=False)
    model[0].register_buffer("noise", torch.randn(30), persistent=False)
    model[0].register_parameter("scale", nn.Parameter(torch.randn(3)))
    return model


def changed() -> Any:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 3)
    model.layers[1].linear1 = nn.Linear(8, 24)
    model.layers[1].linear2 = nn.Linear(24, 8)
    model.layers[2].norm2 = nn.Identity()
    return model


def half() -> Any:
    return nn.Sequential(nn.BatchNorm1d(4), nn.Sequential(nn.Linear(4, 4), nn.ReLU())).double()


def replaced_weight() -> Any:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Linear(6, 6))
    model[0].weight = nn.Parameter(model[0].weight.detach().sum(1, keepdim=True))  # in_channels still says 3
    return model


def deep(count: int) -> Any:
    return nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(count)])


def attention(*given: Any, query: Any, key: Any = None, value: Any = None, **options: Any) -> Any:
    key = query if key is None else key
    return nn.MultiheadAttention(*given, **options), (query, key, key if value is None else value)


def samples() -> dict[str, Any]:
    """By name: a function that gives the model and its inputs, positional and by keyword."""
    two, four = image(2, 4), image(2, 5, 4)
    src, tgt, batched = image(5, 3, 8), image(6, 3, 8), image(3, 5, 8)
    found: dict[str, Any] = {
        "sequential": lambda: (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), two),
        "named": lambda: (
            nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 8, 3), act=nn.ReLU(inplace=True), head=deep(1)[0][0:0])),
            image(),
        ),
        "nested": lambda: (nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Sequential()), deep(3)), two),
        "dotless_names": lambda: (
            nn.Sequential(OrderedDict([("a b", nn.Linear(4, 4)), ("class", nn.Tanh()), ("2", nn.Linear(4, 4))])),
            two,
        ),
        "root_linear": lambda: (nn.Linear(4, 3), two),
        "root_lstm": lambda: (nn.LSTM(4, 6, 2, bidirectional=True), four),
        "shared": lambda: (shared(), two),
        "tied": lambda: (tied(), two),
        "frozen": lambda: (frozen(), two),
        "extended": lambda: (extended(), two),
        "changed": lambda: (changed(), src),
        "double": lambda: (half(), two.double()),
        "replaced_weight": lambda: (replaced_weight(), image(2, 1, 5, 8)),
        "data_parallel": lambda: (nn.DataParallel(nn.Sequential(nn.Linear(4, 4))), two),
        "linear_no_bias": lambda: (nn.Linear(4, 3, bias=False), four),
        "bilinear": lambda: (nn.Bilinear(4, 3, 5), (image(2, 6, 4), image(2, 6, 3))),
        "bilinear_no_bias": lambda: (nn.Bilinear(4, 3, 5, bias=False), (two, image(2, 3))),
        "embedding": lambda: (nn.Embedding(10, 4), ints(10, 2, 5)),
        "embedding_padding": lambda: (nn.Embedding(10, 4, padding_idx=3), ints(10, 2, 5)),
        "embedding_scaled": lambda: (nn.Embedding(10, 4, scale_grad_by_freq=True), ints(4, 2, 5)),
        "embedding_norm": lambda: (nn.Embedding(10, 4, max_norm=0.7), ints(10, 2, 5)),
        "bag_mean": lambda: (nn.EmbeddingBag(10, 4), ints(10, 3, 5)),
        "bag_sum": lambda: (nn.EmbeddingBag(10, 4, mode="sum"), (ints(10, 7), torch.tensor([0, 3, 3]))),
        "bag_weights": lambda: (nn.EmbeddingBag(10, 4, mode="sum"), (ints(10, 7), torch.tensor([0, 3]), image(7))),
        "bag_max": lambda: (nn.EmbeddingBag(10, 4, mode="max", padding_idx=2), ints(10, 3, 5)),
        "bag_last": lambda: (nn.EmbeddingBag(10, 4, include_last_offset=True), (ints(10, 7), torch.tensor([0, 3, 7]))),
        "cosine": lambda: (nn.CosineSimilarity(dim=-1), (four, image(2, 5, 4))),
        "distance": lambda: (nn.PairwiseDistance(p=1.0, keepdim=True), (two, image(2, 4))),
        "unflatten": lambda: (nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Unflatten(-1, (1, 2))), two),
        "flatten": lambda: (nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 64)), nn.Flatten(0, 1)), image()),
        "unfold": lambda: (nn.Unfold((2, 3), padding=1, stride=2), image()),
        "fold": lambda: (nn.Fold((6, 7), (2, 3)), image(2, 24, 25)),
        "pixel_shuffle": lambda: (nn.PixelShuffle(2), image()),
        "pixel_unshuffle": lambda: (nn.PixelUnshuffle(2), image()),
        "channel_shuffle": lambda: (nn.ChannelShuffle(2), image()),
        "group_norm": lambda: (nn.GroupNorm(2, 4), image()),
        "group_norm_plain": lambda: (nn.GroupNorm(2, 4, eps=1e-3, affine=False), image()),
        "layer_norm": lambda: (nn.LayerNorm((8, 8), eps=1e-3), image()),
        "layer_norm_plain": lambda: (nn.LayerNorm(4, elementwise_affine=False), four),
        "local_response": lambda: (nn.LocalResponseNorm(3, 0.1, 0.5, 2.0), image()),
        "local_response_even": lambda: (nn.LocalResponseNorm(4), image()),
        "embedding_lstm": lambda: (nn.Sequential(nn.Embedding(10, 4), nn.LSTM(4, 3)), ints(10, 5, 2)),
    }  # fmt: skip
    for dims in (1, 2, 3):
        x = image(2, 4, *(8, 9, 7)[:dims])
        conv, back = getattr(nn, f"Conv{dims}d"), getattr(nn, f"ConvTranspose{dims}d")
        options: dict[str, dict[str, Any]] = {
            "": {"stride": 2, "padding": 1},
            "_groups": {"groups": 2, "dilation": 2, "bias": False},
            "_same": {"padding": "same"},
            "_same_even": {"padding": "same", "kernel": 4, "dilation": 1},
            "_valid": {"padding": "valid"},
            "_reflect": {"padding": 2, "padding_mode": "reflect", "stride": 2},
            "_replicate": {"padding": 1, "padding_mode": "replicate"},
            "_circular": {"padding": 1, "padding_mode": "circular"},
            "_same_circular": {"padding": "same", "kernel": 4, "padding_mode": "circular"},
        }
        for name, given in options.items():
            kernel = given.pop("kernel", 3)
            found[f"conv{dims}d{name}"] = lambda c=conv, g=given, k=kernel, x=x: (c(4, 6, k, **g), x)
        found[f"conv_transpose{dims}d"] = lambda c=back, x=x: (c(4, 6, 3, 2, 1, output_padding=1), x)
        found[f"conv_transpose{dims}d_groups"] = lambda c=back, x=x: (c(4, 6, 2, groups=2, bias=False, dilation=2), x)
        batch, instance = getattr(nn, f"BatchNorm{dims}d"), getattr(nn, f"InstanceNorm{dims}d")
        for name, given in {
            "": {}, "_plain": {"affine": False, "eps": 1e-3, "momentum": 0.3},
            "_mean": {"momentum": None}, "_untracked": {"track_running_stats": False},
        }.items():  # fmt: skip
            found[f"batch_norm{dims}d{name}"] = lambda c=batch, g=given, x=x: (c(4, **g), x)
        for name, given in {
            "": {}, "_affine": {"affine": True}, "_tracked": {"affine": True, "track_running_stats": True},
        }.items():  # fmt: skip
            found[f"instance_norm{dims}d{name}"] = lambda c=instance, g=given, x=x: (c(4, **g), x)
        for name, given in {
            "MaxPool": ({"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 2, "ceil_mode": True},
                        {"kernel_size": 2, "dilation": 2, "stride": 1}, {"kernel_size": 2, "return_indices": True}),
            "AvgPool": ({"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
                        {"kernel_size": 3, "ceil_mode": True},
                        *([{"kernel_size": 2, "divisor_override": 3}] if dims > 1 else [])),
            "AdaptiveAvgPool": ({"output_size": 3}, {"output_size": 1}),
            "AdaptiveMaxPool": ({"output_size": 3},),
            "LPPool": ({"norm_type": 2, "kernel_size": 2}, {"norm_type": 3, "kernel_size": 3, "stride": 2}),
        }.items():  # fmt: skip
            for number, options_ in enumerate(given):
                layer = getattr(nn, f"{name}{dims}d", None)
                found[f"{name}{dims}d_{number}"] = lambda c=layer, g=options_, x=x: (c and c(**g), x)
        for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular"):
            layer = getattr(nn, f"{kind}Pad{dims}d", None)
            edges, extra = tuple(range(2 * dims))[::-1], (1.5,) if kind == "Constant" else ()
            edges = tuple(min(size, 3) for size in edges)
            found[f"{kind}Pad{dims}d"] = lambda c=layer, e=edges, g=extra, x=x: (c and c(e, *g), x)
            found[f"{kind}Pad{dims}d_even"] = lambda c=layer, g=extra, x=x: (c and c(2, *g), x)
        found[f"dropout{dims}d"] = lambda d=dims, x=x: (getattr(nn, f"Dropout{d}d")(0.0), x)
    for name, given in {
        "nearest": {"scale_factor": 2}, "nearest_size": {"size": (5, 11)}, "nearest_odd": {"scale_factor": (1.5, 2.3)},
        "bilinear": {"scale_factor": 2, "mode": "bilinear"}, "exact": {"size": (5, 11), "mode": "nearest-exact"},
        "exact_odd": {"scale_factor": 1.7, "mode": "nearest-exact"},
        "bilinear_aligned": {"size": (5, 11), "mode": "bilinear", "align_corners": True},
        "bilinear_odd": {"scale_factor": 1.7, "mode": "bilinear", "align_corners": False},
        "bicubic": {"scale_factor": 2, "mode": "bicubic"}, "area": {"size": (4, 4), "mode": "area"},
    }.items():  # fmt: skip
        found[f"upsample_{name}"] = lambda g=given: (nn.Upsample(**g), image())
    found["upsample_linear"] = lambda: (nn.Upsample(scale_factor=2, mode="linear"), image(2, 4, 8))
    found["upsample_trilinear"] = lambda: (nn.Upsample(scale_factor=2, mode="trilinear"), image(2, 4, 3, 4, 5))
    found["upsampling_nearest"] = lambda: (nn.UpsamplingNearest2d(scale_factor=2), image())
    found["upsampling_bilinear"] = lambda: (nn.UpsamplingBilinear2d(size=(5, 11)), image())

    for name, given in {
        "ReLU": {}, "ReLU6": {}, "GELU": {}, "SiLU": {}, "Mish": {}, "Sigmoid": {}, "Tanh": {}, "Hardswish": {},
        "Hardsigmoid": {}, "Hardtanh": {"min_val": -0.5, "max_val": 0.7}, "LeakyReLU": {"negative_slope": 0.2},
        "ELU": {"alpha": 0.7}, "SELU": {}, "CELU": {"alpha": 0.7}, "PReLU": {"num_parameters": 4},
        "Softplus": {"beta": 2, "threshold": 1}, "Softsign": {}, "LogSigmoid": {}, "Softmax": {"dim": -1},
        "LogSoftmax": {"dim": 1}, "GLU": {"dim": 1}, "Hardshrink": {"lambd": 0.3}, "Softshrink": {"lambd": 0.3},
        "Threshold": {"threshold": 0.1, "value": 20.0}, "Tanhshrink": {}, "Softmin": {"dim": 1}, "Softmax2d": {},
        "RReLU": {"lower": 0.2, "upper": 0.2}, "Identity": {}, "Dropout": {"p": 0.0}, "AlphaDropout": {"p": 0.0},
        "FeatureAlphaDropout": {"p": 0.0},
    }.items():  # fmt: skip
        found[name] = lambda n=name, g=given: (getattr(nn, n)(**g), image())
        if name in ("ReLU", "ELU", "Hardtanh", "ReLU6", "Hardswish", "SELU", "LeakyReLU", "Threshold", "Dropout"):
            found[f"{name}_inplace"] = lambda n=name, g=given: (
                nn.Sequential(nn.Conv2d(4, 4, 1), getattr(nn, n)(**g, inplace=True)), image(),
            )  # fmt: skip
    found["gelu_tanh"] = lambda: (nn.GELU(approximate="tanh"), image())
    found["prelu_single"] = lambda: (nn.PReLU(init=0.1), image())
    found["softmax_no_dim"] = lambda: (nn.Softmax(), image(2, 4, 8))

    for kind in ("LSTM", "GRU", "RNN"):
        for name, given in {
            "": {}, "_two": {"num_layers": 2, "bidirectional": True}, "_first": {"batch_first": True, "bias": False},
            "_dropout": {"num_layers": 2, "dropout": 0.0},
        }.items():  # fmt: skip
            found[f"{kind}{name}"] = lambda k=kind, g=given: (getattr(nn, k)(4, 6, **g), four)
        found[f"{kind}_cell"] = lambda k=kind: (getattr(nn, f"{k}Cell")(4, 6), two)
        found[f"{kind}_cell_no_bias"] = lambda k=kind: (
            getattr(nn, f"{k}Cell")(4, 6, bias=False), image(4),
        )  # fmt: skip
    found["LSTM_projected"] = lambda: (nn.LSTM(4, 6, 2, proj_size=3, bidirectional=True), four)
    found["LSTM_state"] = lambda: (nn.LSTM(4, 6), (four, (image(1, 5, 6), image(1, 5, 6))))
    found["LSTM_unbatched"] = lambda: (nn.LSTM(4, 6), image(5, 4))
    found["RNN_relu"] = lambda: (nn.RNN(4, 6, nonlinearity="relu"), four)
    found["RNN_cell_relu"] = lambda: (nn.RNNCell(4, 6, nonlinearity="relu"), (two, image(2, 6)))

    found |= {
        "attention": lambda: attention(8, 2, query=src),
        "attention_first": lambda: attention(8, 2, batch_first=True, query=batched),
        "attention_no_bias": lambda: attention(8, 2, bias=False, query=tgt, key=src),
        "attention_sizes": lambda: attention(8, 2, kdim=4, vdim=3, query=tgt, key=image(5, 3, 4), value=image(5, 3, 3)),
        "attention_bias_kv": lambda: attention(8, 2, add_bias_kv=True, query=src),
        "attention_zero": lambda: attention(8, 2, add_zero_attn=True, add_bias_kv=True, query=src),
        "attention_unbatched": lambda: attention(8, 2, query=image(5, 8)),
        "attention_float_mask": lambda: (*attention(8, 2, query=src), {"attn_mask": causal(5)}),
        "attention_bool_mask": lambda: (*attention(8, 2, query=src), {"attn_mask": causal(5) < 0}),
        "attention_padding": lambda: (*attention(8, 2, query=src), {"key_padding_mask": hiding(5, 3, 1)}),
        "attention_heads": lambda: (*attention(8, 2, query=src), {"average_attn_weights": False}),
        "attention_no_weights": lambda: (*attention(8, 2, query=src), {"need_weights": False}),
        "attention_all": lambda: (
            *attention(8, 2, query=src, add_zero_attn=True, add_bias_kv=True),
            {"key_padding_mask": hiding(5, 3, 2), "attn_mask": (causal(5) < 0).expand(6, 5, 5)},
        ),
        "encoder_layer": lambda: (nn.TransformerEncoderLayer(8, 2, 16, 0.0), src),
        "encoder_layer_gelu": lambda: (
            nn.TransformerEncoderLayer(8, 2, 16, 0.0, F.gelu, 1e-3, batch_first=True, norm_first=True), batched,
        ),
        "encoder_layer_silu": lambda: (nn.TransformerEncoderLayer(8, 2, 16, 0.0, F.silu), src),
        "encoder_layer_tanh": lambda: (nn.TransformerEncoderLayer(8, 2, 16, 0.0, torch.tanh), src),
        "encoder_layer_module": lambda: (nn.TransformerEncoderLayer(8, 2, 16, 0.0, nn.PReLU()), src),
        "decoder_layer": lambda: (nn.TransformerDecoderLayer(8, 2, 16, 0.0), (tgt, src)),
        "decoder_layer_first": lambda: (
            nn.TransformerDecoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True), (batched, batched),
        ),
        "encoder": lambda: (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 2), src),
        "encoder_masked": lambda: (
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 2, nn.LayerNorm(8)), src,
            {"mask": causal(5), "src_key_padding_mask": hiding(5, 3, 2)},
        ),
        "decoder": lambda: (
            nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0), 2, nn.LayerNorm(8)), (tgt, src),
            {"tgt_mask": causal(6), "memory_key_padding_mask": hiding(5, 3, 2)},
        ),
        "transformer": lambda: (
            nn.Transformer(8, 2, 2, 1, 16, 0.0, batch_first=True), (batched, image(3, 6, 8)), {"tgt_mask": causal(6)},
        ),
        "transformer_gelu": lambda: (nn.Transformer(8, 2, 1, 2, 16, 0.0, F.gelu, norm_first=True), (src, tgt)),
        "transformer_custom": lambda: (
            nn.Transformer(
                8, 2, custom_encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 4, 24, 0.0, "gelu"), 2),
                custom_decoder=nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0), 1),
            ), (src, tgt),
        ),
        "unpool": lambda: (nn.MaxUnpool2d(2), F.max_pool2d(image(), 2, return_indices=True)),
        "encoder_stack": lambda: (
            nn.Sequential(*[nn.TransformerEncoderLayer(8, 2, 16, 0.0) for _ in range(3)], nn.Linear(8, 2)), src,
        ),
    }  # fmt: skip
    if hasattr(nn, "RMSNorm"):
        found |= {
            "batch_norm_no_bias": lambda: (nn.BatchNorm2d(4, bias=False), image()),
            "group_norm_no_bias": lambda: (nn.GroupNorm(2, 4, bias=False), image()),
            "instance_norm_no_bias": lambda: (nn.InstanceNorm2d(4, affine=True, bias=False), image()),
            "sync_batch_norm": lambda: (nn.SyncBatchNorm(4), image()),
            "rms_norm": lambda: (nn.RMSNorm(4), four),
            "rms_norm_plain": lambda: (nn.RMSNorm((8, 8), eps=1e-3, elementwise_affine=False), image()),
            "layer_norm_no_bias": lambda: (nn.LayerNorm(4, bias=False), four),
            "encoder_layer_no_bias": lambda: (nn.TransformerEncoderLayer(8, 2, 16, 0.0, bias=False), src),
            "transformer_no_bias": lambda: (nn.Transformer(8, 2, 1, 1, 16, 0.0, bias=False), (src, tgt)),
        }
    return found


def record(name: str, make: Any, folder: Path) -> Any:
    """Writes the two files of a sample; nothing where this PyTorch has no such class."""
    torch.manual_seed(0)
    model, inputs, *rest = make()
    if model is None:
        return None
    keywords = rest[0] if rest else {}
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    for key, tensor in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
        if tensor.is_floating_point():
            # What is 0 or 1 at first would hide much.
            with torch.no_grad():
                tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in key else torch.randn_like(tensor) * 0.5)
    values: dict[str, Any] = {}
    _flatten("in", (*inputs, keywords), values)
    torch.save(model, folder / f"{name}.pth")
    wide = copy.deepcopy(model).double().eval()
    model.eval()
    # With gradients: without them, PyTorch takes a path of its own through transformers.
    wide_inputs = _double(_copy(inputs))
    _flatten("wide", wide(*wide_inputs, **_double(keywords)), values)
    _flatten("out", model(*_copy(inputs), **keywords), values)
    if name.startswith("embedding_norm"):
        return np.savez(folder / f"{name}.npz", **values)
    model.train()
    wide.train()
    for prefix, each, given in (("train", model, _copy(inputs)), ("widetrain", wide, _double(_copy(inputs)))):
        torch.manual_seed(1)
        _flatten(prefix, each(*given, **(keywords if each is model else _double(keywords))), values)
        torch.manual_seed(1)
        each.zero_grad()
        result = each(*(_copy(inputs) if each is model else _double(_copy(inputs))),
                      **(keywords if each is model else _double(keywords)))  # fmt: skip
        loss = sum((item**2).sum() for item in _leaves(result) if item.is_floating_point())
        if getattr(loss, "requires_grad", False):
            loss.backward()
        for key, parameter in each.named_parameters():
            if parameter.grad is not None:
                values[f"{'grad' if each is model else 'widegrad'}:{key}"] = parameter.grad.numpy()
    return np.savez(folder / f"{name}.npz", **values)


def _copy(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_copy(item) for item in value)
    return value.clone()


def _double(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_double(item) for item in value)
    if isinstance(value, dict):
        return {key: _double(item) for key, item in value.items()}
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is None else [value]


def _flatten(prefix: str, value: Any, found: dict[str, Any]) -> None:
    """`in.0`, `in.1.0`, ... for nested tuples; `in.1:attn_mask` for keywords."""
    if isinstance(value, tuple | list):
        for index, item in enumerate(value):
            _flatten(f"{prefix}.{index}", item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}:{key}", item, found)
    elif value is not None:
        found[prefix] = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    for name, make in samples().items():
        record(name, make, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
