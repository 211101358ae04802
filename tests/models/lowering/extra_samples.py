"""Samples for operators that PyTorch's operator database lacks: a name, a function, and what makes its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from complex_samples import COMPLEX_SAMPLES
from edge_samples import EDGE_SAMPLES
from torch import nn, randn
from torch.nn import functional as F

aten = torch.ops.aten


def _recurrent(kind: type[nn.RNNBase], **options: Any) -> list[tuple[Any, ...]]:
    layer = kind(5, 4, **options)
    directions = 2 if options.get("bidirectional") else 1
    state = randn(directions * layer.num_layers, 2, 4)
    hidden: Any = [state, randn_like(state)] if kind is nn.LSTM else state
    params = [weight.detach() for weight in layer._flat_weights]
    shape = (2, 3, 5) if layer.batch_first else (3, 2, 5)
    settings = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional, layer.batch_first)
    return [(randn(*shape), hidden, params, *settings)]


randn_like = torch.randn_like


def _all_recurrent(kind: type[nn.RNNBase]) -> list[tuple[Any, ...]]:
    return [
        *_recurrent(kind),
        *_recurrent(kind, num_layers=2, bidirectional=True, batch_first=True),
        *_recurrent(kind, bias=False),
    ]


def _cell(gates: int, state: Callable[[], Any]) -> list[tuple[Any, ...]]:
    return [(randn(3, 5), state(), randn(gates * 4, 5), randn(gates * 4, 4), randn(gates * 4), randn(gates * 4))]


def _statistics(*shape: int) -> tuple[Any, ...]:
    return randn(*shape), randn(shape[1]), randn(shape[1]), randn(shape[1]), randn(shape[1]).abs()


EXTRA_SAMPLES: list[tuple[str, Callable[..., Any], Callable[[], list[tuple[Any, ...]]]]] = [
    *(("complex", function, lambda make=make: [make()]) for function, make in COMPLEX_SAMPLES),
    *EDGE_SAMPLES,
    ("einsum", lambda x: torch.einsum("bii->bi", x), lambda: [(randn(2, 3, 3),)]),
    ("einsum", lambda x, y: torch.einsum("...iji,jk", x, y), lambda: [(randn(4, 3, 2, 3), randn(2, 5))]),
    ("einsum", lambda x: torch.einsum("aabbc", x), lambda: [(randn(2, 2, 3, 3, 4),)]),
    ("roll", torch.roll, lambda: [(randn(2, 3, 4), 2, -1), (randn(2, 3, 4), (1, -1), (-1, -3)), (randn(5), 2)]),
    ("fftshift", torch.fft.fftshift, lambda: [(randn(2, 3, 4), -1), (randn(2, 5, 3), (-2, -1)), (randn(5),)]),
    ("fft of many points", lambda x: torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(x.flip(-1)), n=x.shape[-1]),
     lambda: [(randn(2, n),) for n in (67, 90, 134, 257)]),
    ("window", lambda x: x * torch.kaiser_window(9) + torch.bartlett_window(9) - torch.blackman_window(9, False),
     lambda: [(randn(9),)]),
    ("diagonal", lambda x: x.diagonal(dim1=-2, dim2=-1), lambda: [(randn(2, 3, 3),)]),
    ("lstm", aten.lstm.input, lambda: _all_recurrent(nn.LSTM)),
    ("gru", aten.gru.input, lambda: _all_recurrent(nn.GRU)),
    ("rnn_tanh", aten.rnn_tanh.input, lambda: _all_recurrent(nn.RNN)),
    ("rnn_relu", aten.rnn_relu.input, lambda: _all_recurrent(nn.RNN)),
    ("lstm_cell", aten.lstm_cell, lambda: _cell(4, lambda: [randn(3, 4), randn(3, 4)])),
    ("gru_cell", aten.gru_cell, lambda: _cell(3, lambda: randn(3, 4))),
    ("rnn_tanh_cell", aten.rnn_tanh_cell, lambda: _cell(1, lambda: randn(3, 4))),
    ("rnn_relu_cell", aten.rnn_relu_cell, lambda: _cell(1, lambda: randn(3, 4))),
    ("conv1d same", F.conv1d, lambda: [(randn(2, 3, 9), randn(4, 3, 4), randn(4), 1, "same", 2)]),
    ("conv2d same", F.conv2d, lambda: [(randn(2, 4, 9, 7), randn(4, 2, 4, 3), None, 1, "same", 1, 2)]),
    ("conv2d valid", F.conv2d, lambda: [(randn(2, 3, 9, 7), randn(4, 3, 4, 3), randn(4), 2, "valid")]),
    ("conv3d same", F.conv3d, lambda: [(randn(2, 3, 4, 5, 6), randn(4, 3, 2, 3, 3), randn(4), 1, "same")]),
    ("conv2d", F.conv2d, lambda: [
        (randn(2, 3, 9, 7), randn(4, 3, 3, 3), randn(4), 2, 1),
        (randn(2, 4, 9, 7), randn(4, 1, 3, 3), None, 1, 1, 1, 4),
        (randn(3, 9, 7), randn(4, 3, 3, 3), randn(4), (2, 1), (0, 2), (2, 1)),
    ]),
    ("layer_norm weight only", F.layer_norm, lambda: [
        (randn(2, 3, 4), (4,), randn(4), None), (randn(2, 3, 4), (3, 4), None, randn(3, 4)),
        (randn(3, 4), (3, 4), randn(3, 4), randn(3, 4)),
    ]),
    ("batch_norm weight only", aten.batch_norm, lambda: [
        (randn(2, 3, 4), randn(3), None, randn(3), randn(3).abs(), False, 0.1, 1e-5, False),
        (randn(2, 3, 4), None, randn(3), randn(3), randn(3).abs(), True, 0.1, 1e-5, False),
        (randn(2, 3, 4, 5), None, None, None, None, True, 0.1, 1e-5, False),
    ]),
    ("batch_norm", aten.batch_norm, lambda: [
        (*_statistics(2, 3), False, 0.1, 1e-5, False), (*_statistics(2, 3, 4, 5), True, 0.1, 1e-3, False),
        (*_statistics(2, 3, 4, 5, 2), False, 0.1, 1e-3, False),
    ]),
    ("batch_norm functional", aten._native_batch_norm_legit_functional, lambda: [
        (*_statistics(4, 3, 5), True, 0.2, 1e-5), (*_statistics(4, 3, 5), False, 0.2, 1e-5),
    ]),
    ("batch_norm no training", aten._native_batch_norm_legit_no_training, lambda: [(*_statistics(4, 3, 5), 0.2, 1e-5)]),
    ("weight_norm", aten._weight_norm, lambda: [
        (randn(4, 3, 2), randn(4, 1, 1), 0), (randn(4, 3, 2), randn(1, 1, 2), 2),
    ]),
    ("fused_rms_norm", aten._fused_rms_norm, lambda: [(randn(2, 3, 4), (4,), randn(4), 1e-6)]),
    ("rms_norm", F.rms_norm, lambda: [(randn(2, 3, 4), (4,), randn(4), 1e-6), (randn(2, 3, 4), (3, 4))]),
    ("instance_norm", F.instance_norm, lambda: [
        (randn(2, 3, 4, 5), None, None, randn(3), randn(3)),
        (randn(2, 3, 4), randn(3), randn(3).abs(), None, None, False),
    ]),
    ("attention", F.scaled_dot_product_attention, lambda: [
        (randn(2, 3, 4, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 6)),
        (randn(2, 3, 4, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 8), randn(4, 5) > 0),
        (randn(2, 3, 4, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 8), torch.zeros(2, 1, 4, 5, dtype=torch.bool)),
        (randn(2, 3, 4, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 8), randn(2, 1, 4, 5)),
        (randn(2, 3, 4, 8), randn(2, 3, 4, 8), randn(2, 3, 4, 8), None, 0.0, True),
    ]),
    ("attention grouped", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.3, enable_gqa=True), lambda: [
        (randn(2, 6, 4, 8), randn(2, 3, 5, 8), randn(2, 3, 5, 8)),
    ]),
    ("grid_sample", F.grid_sample, lambda: [
        (randn(2, 3, 5, 6), randn(2, 4, 3, 2) / 2, mode, padding, align)
        for mode in ("bilinear", "nearest", "bicubic")
        for padding in ("zeros", "border", "reflection")
        for align in (False, True)
    ]),
    ("grid_sample 3d", F.grid_sample, lambda: [
        (randn(2, 3, 4, 5, 6), randn(2, 4, 3, 2, 3) / 2, mode, padding, False)
        for mode in ("bilinear", "nearest")
        for padding in ("zeros", "border")
    ]),
    ("affine_grid", F.affine_grid, lambda: [(randn(2, 2, 3), (2, 3, 4, 5), align) for align in (False, True)]),
    ("interpolate", F.interpolate, lambda: [
        (randn(2, 3, 5, 7), size, scale, mode, None if mode == "nearest" else align)
        for mode in ("nearest", "bilinear", "bicubic")
        for align in (False, True)
        for size, scale in (((8, 4), None), (None, 2.0), (None, (0.7, 1.3)))
    ]),
    ("interpolate exact", F.interpolate, lambda: [
        (randn(2, 3, 5, 7), size, scale, "nearest-exact") for size, scale in (((8, 4), None), (None, 1.7))
    ]),
    ("interpolate 1d 3d", F.interpolate, lambda: [
        (randn(2, 3, 5), 8, None, "linear", False), (randn(2, 3, 5), None, 1.5, "linear", True),
        (randn(2, 3, 5), 8), (randn(2, 3, 4, 5, 6), None, 2.0), (randn(2, 3, 5), 8, None, "nearest-exact"),
        (randn(2, 3, 4, 5, 6), (3, 7, 8), None, "trilinear", False),
        (randn(2, 3, 4, 5, 6), (3, 7, 8), None, "trilinear", True),
    ]),
    ("interpolate antialias", lambda *given: F.interpolate(*given, antialias=True), lambda: [
        (randn(2, 3, 9, 7), size, scale, mode, align)
        for mode in ("bilinear", "bicubic")
        for align in (False, True)
        for size, scale in (((4, 8), None), (None, 0.4))
    ]),
    ("upsample with scales", lambda *given: aten.upsample_bilinear2d(*given), lambda: [
        (randn(2, 3, 5, 7), (8, 9), False, 1.7, 1.3), (randn(2, 3, 5, 7), (8, 9), True, None, None),
    ]),
    ("linalg_norm", lambda x, *given: torch.linalg.norm(x, *given), lambda: [
        (randn(3, 4),), (randn(3, 4), 2, [-1]), (randn(3, 4), 1, [0], True), (randn(5), 3),
    ]),
    ("unfold dimension", lambda x, *given: x.unfold(*given), lambda: [
        (randn(3, 8), -1, 4, 2), (randn(8, 3), -2, 3, 1),
    ]),
    ("unfold", F.unfold, lambda: [
        (randn(2, 3, 8, 9), (3, 2), (1, 2), (1, 0), (2, 1)), (randn(3, 8, 9), 2), (randn(2, 3, 8, 9), 3, 1, 1, 2),
    ]),
    ("fold", F.fold, lambda: [
        (randn(2, 18, 20), (8, 7), (3, 2), (1, 2), (1, 0), (2, 1)), (randn(12, 6), (3, 4), 2),
    ]),
    ("pad", F.pad, lambda: [
        (randn(2, 3, 5, 6), pad, mode)
        for mode in ("constant", "reflect", "replicate", "circular")
        for pad in ((1, 2), (1, 0, 2, 1))
        if mode == "constant" or len(pad) == 4
    ] + [
        (randn(2, 3, 5), (2, 1), mode) for mode in ("reflect", "replicate", "circular")
    ] + [
        (randn(2, 3, 4, 5, 6), (1, 2, 0, 1, 2, 1), mode) for mode in ("reflect", "replicate", "circular")
    ] + [(randn(2, 3), (1, -1), "constant", 2.5), (randn(2, 3), (-1, 0, 1, 1))]),
    ("index_put", aten.index_put, lambda: [
        (randn(4, 5), [torch.tensor([0, 2])], randn(2, 5)), (randn(4, 5), [None, torch.tensor([1, 3])], randn(4, 2)),
        (randn(4, 5), [torch.tensor([0, 0, 2]), torch.tensor([1, 1, 3])], randn(3), True),
        (randn(4, 5), [torch.tensor([0, -1]), None], torch.tensor(3.0)),
        (randn(4, 5), [randn(4, 5) > 0], torch.tensor(1.5)),
        (randn(4, 5), [randn(4) > 0], torch.tensor(1.5)),
    ]),
    ("slice_scatter", aten.slice_scatter, lambda: [
        (randn(4, 5), randn(4, 2), 1, 1, 3), (randn(4, 5), randn(2, 5), 0, 0, 4, 2), (randn(4, 5), randn(4, 5), 1),
        (randn(4, 5), randn(4, 2), -1, -2),
    ]),
    ("select_scatter", aten.select_scatter, lambda: [(randn(4, 5), randn(4), 1, -1), (randn(4, 5), randn(5), 0, 2)]),
    ("copy", aten.copy, lambda: [(randn(4, 5), randn(5)), (randn(4, 5), torch.arange(20).reshape(4, 5))]),
    ("masked_scatter", aten.masked_scatter, lambda: [(randn(4, 5), randn(4, 5) > 0, randn(30))]),
    ("pixel_shuffle", F.pixel_shuffle, lambda: [(randn(2, 8, 3, 4), 2), (randn(9, 3, 4), 3)]),
    ("pixel_unshuffle", F.pixel_unshuffle, lambda: [(randn(2, 2, 6, 4), 2)]),
    ("embedding", F.embedding, lambda: [
        (torch.tensor([[0, 2], [1, 1]]), randn(3, 4)), (torch.tensor([0, 2]), randn(3, 4), 1),
    ]),
    ("embedding_bag", F.embedding_bag, lambda: [
        (torch.tensor([0, 2, 1, 1, 0]), randn(3, 4), torch.tensor([0, 2, 2]), None, 2.0, False, mode)
        for mode in ("sum", "mean", "max")
    ]),
    ("linear of no columns", F.linear, lambda: [(randn(2, 0), randn(3, 0), randn(3)), (randn(2, 0), randn(3, 0))]),
    ("embedding_bag with padding", F.embedding_bag, lambda: [
        (*bags, None, 2.0, False, mode, False, None, True, 1)
        for bags in [(torch.tensor([1, 2, 1, 0]), randn(3, 4), torch.tensor([0, 2, 3, 4]))]
        for mode in ("sum", "mean", "max")
    ]),
    ("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), lambda: [(randn(3, 4),)]),
    ("arithmetic of mixed dtypes",
     lambda a, b, c: (a + b, a * c, c - a, b / c, a * 2.5, c * True, b + c, a // c),
     lambda: [
        (randn(3, 4), torch.arange(4), torch.tensor(3)), (torch.arange(4), torch.tensor(0.5), torch.tensor(3)),
        (torch.arange(4, dtype=torch.int32), torch.arange(4), torch.tensor(2)),
    ]),
    ("comparison of mixed dtypes", lambda a, b: (a < b, a == b, b >= 1.5, a != 2, torch.where(a > b, a, b)), lambda: [
        (randn(3, 4), torch.arange(4)), (torch.arange(4), torch.tensor(1.5)),
    ]),
    ("integers",
     lambda a, b: (a // b, a % b, a & b, a | b, a ^ b, ~a, -a, a // 3, a % -3, a.sign(), a << 2, a >> 1),
     lambda: [
        (torch.arange(-5, 5), torch.tensor([3, -2, 1, -7, 5, 2, 4, -1, 9, 6])),
        (torch.arange(-5, 5, dtype=torch.int32), torch.tensor([3, -2, 1, -7, 5, 2, 4, -1, 9, 6], dtype=torch.int32)),
    ]),
    ("floor of floats",
     lambda a, b: (a // b, a % b, torch.fmod(a, b), torch.div(a, b, rounding_mode="trunc")),
     lambda: [
        (torch.tensor([1.0, -1.0, 7.5, -7.5, 0.3]), torch.tensor([0.1, 0.1, -2.0, 2.0, 0.1])),
    ]),
    ("sort without ties", lambda x: (*x.sort(1), x.argsort(0, descending=True), *x.topk(2)), lambda: [(randn(4, 5),)]),
    ("in place on views", lambda x: _written(x), lambda: [(randn(4, 5),)]),
    ("bessel functions", lambda x: (*map(torch.special.i1, (x, -x)), torch.special.i0e(x), torch.special.i1e(x)),
     lambda: [(randn(3, 4),), (torch.linspace(-30, 30, 7),)]),
    ("frexp polygamma", lambda x: (*torch.frexp(x), torch.polygamma(1, x), torch.polygamma(2, x.abs() + 0.1)),
     lambda: [(randn(3, 4) * 9,), (torch.tensor([0.5, 1.0, -2.0 + 1e-3, 1e-6, 3e8]),)]),
    ("gradient", lambda x, at: (
        *torch.gradient(x), *torch.gradient(x, dim=1, edge_order=2), *torch.gradient(x, spacing=0.5, dim=(0, 1)),
        *torch.gradient(x, spacing=(at, at[:4]), edge_order=2), *torch.gradient(x, spacing=[2.0, 0.5]),
    ), lambda: [(randn(5, 4), torch.tensor([0.0, 1.0, 1.5, 4.0, 4.5]))]),
    ("index_reduce", lambda x, i, y: (
        x.index_reduce(0, i, y, "mean"), x.index_reduce(0, i, y, "amax", include_self=False),
    ), lambda: [(randn(4, 3), torch.tensor([0, 2, 0, 3, 0]), randn(5, 3))]),
    ("gcd and lcm", lambda a, b: (torch.gcd(a, b), torch.lcm(a, b)), lambda: [
        (torch.tensor([12, -18, 0, 7]), torch.tensor([8, 27, 5, 0])), (torch.tensor([[12], [9]]), torch.tensor([6, 4])),
    ]),
    ("small and signed zeros", lambda x: (torch.special.xlog1py(x, x.abs() * 1e-9), torch.signbit(x)), lambda: [
        (torch.tensor([0.0, -0.0, 1.0, -2.0]),),
    ]),
    ("running integral", lambda y, at: (
        torch.cumulative_trapezoid(y, dim=0), torch.cumulative_trapezoid(y, dx=0.5), torch.cumulative_trapezoid(y, at),
    ), lambda: [(randn(3, 4), torch.tensor([0.0, 1.0, 1.5, 4.0]))]),
    ("histogram", lambda x: (
        *torch.histogram(x, 5), *torch.histogram(x, 4, range=(-1.0, 1.0), density=True),
        torch.histogram(x, 3, weight=x.abs()).hist,
    ), lambda: [(torch.tensor([-1.5, -0.3, 0.0, 0.2, 0.7, 1.0, 1.1]),)]),
    ("margins of labels", lambda x, t: (
        F.multilabel_margin_loss(x, t), F.multilabel_margin_loss(x, t, reduction="none"),
        F.multilabel_margin_loss(x[0], t[0]),
    ), lambda: [(randn(3, 4), torch.tensor([[3, 0, -1, 1], [1, -1, -1, 2], [0, 1, 2, 3]]))]),
    ("fake quantisation", lambda x, scale, zero: (
        torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 15),
        torch.fake_quantize_per_channel_affine(x, scale, zero, 1, -8, 7),
    ), lambda: [(randn(3, 4), torch.tensor([0.1, 0.2, 0.05, 0.3]), torch.tensor([0, 1, -1, 2], dtype=torch.int32))]),
    ("segment_reduce", lambda x, n, ends: (
        torch.segment_reduce(x, "sum", lengths=n), torch.segment_reduce(x, "max", lengths=n, initial=-5.0),
        torch.segment_reduce(x, "min", offsets=ends), torch.segment_reduce(x, "mean", lengths=n, initial=0.5),
        torch.segment_reduce(x, "mean", lengths=n), torch.segment_reduce(x, "prod", offsets=ends),
    ), lambda: [(randn(5, 3), torch.tensor([2, 0, 3]), torch.tensor([0, 1, 4, 5]))]),
    ("gradients at edges", lambda x, y: (
        x.prod(), x.prod(1), x.prod(0, keepdim=True), y.std(), y.std(1), y.std(0, correction=0),
    ), lambda: [(torch.tensor([[0.0, 2, 3], [1, -4, 0.5]]), torch.tensor([[1.0, 1, 1], [1, 2, 4]]))]),
    ("gradients as operators", lambda g, x: (
        aten.sigmoid_backward(g, x.sigmoid()), aten.tanh_backward(g, x.tanh()), aten.threshold_backward(g, x, 0.1),
        aten.leaky_relu_backward(g, x, 0.2, False), aten.hardtanh_backward(g, x, -0.5, 0.5), aten.silu_backward(g, x),
        aten.softplus_backward(g, x, 2.0, 1.0), aten._softmax_backward_data(g, x.softmax(1), 1, torch.float32),
        aten._log_softmax_backward_data(g, x.log_softmax(1), 1, torch.float32), aten.mse_loss_backward(g, x, x * 2, 1),
    ), lambda: [(randn(3, 4), randn(3, 4))]),
]  # fmt: skip


def _written(x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, 1:3] = 0
    x[0].mul_(2)
    x.view(-1)[3] = 7.0
    x[:, 0].copy_(x[:, 4])
    return x
