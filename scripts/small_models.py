"""Small models of every kind of architecture, which the judge is tested with: each is captured in a second.

    .venv-torch/bin/python -m scripts.small_models build/faults            captures all that are not there yet
    .venv-torch/bin/python -m scripts.small_models build/faults Cnn Gpt    some of them

Each class says what it takes (`inputs`, as `torch2flow capture --input` has it) and how it is captured (`options`).
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import namedtuple
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from scripts.models.weights import randomise
from torch2flow.proof.capture.inputs import choose_sizes, make_inputs, parse_input
from torch2flow.proof.capture.live import capture
from torch2flow.proof.capture.request import live_call

IMAGE = ["float32[batch,3,16,16]"]
SEQUENCE = ["float32[batch,length,16]"]
TOKENS = ["int64[batch,length]:0..40"]
TRAIN = {"train": True, "gradients": True}


class Cnn(nn.Module):
    """Convolutions with padding, stride and dilation, clamped activations, dropout."""

    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(12, 12, 3, padding=2, dilation=2, groups=4)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.leaky_relu(self.conv2(x), 0.1), 2)
        x = F.hardtanh(self.conv3(x), -1.0, 1.0)
        return self.fc(self.drop(x.mean((2, 3))))


class CnnTrained(Cnn):
    """The same, captured in train mode, with BatchNorm."""

    options = TRAIN

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(12, eps=1e-3, momentum=0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv2(F.relu(self.conv1(x)))))
        return self.fc(self.drop(self.conv3(x).mean((2, 3))))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + x)


class ResNet(nn.Module):
    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.layers = nn.Sequential(Residual(8), Residual(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(F.relu(self.norm(self.stem(x))))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class ResNetTrained(ResNet):
    options = TRAIN


class DenseLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, F.dropout(self.conv(F.relu(self.norm(x))), 0.1, self.training)], 1)


class DenseNet(nn.Module):
    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.dense = nn.Sequential(DenseLayer(4), DenseLayer(8), DenseLayer(12))
        self.pool = nn.AvgPool2d(2, stride=2)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head(self.pool(self.dense(self.stem(x))).mean((2, 3))), dim=1)


class Double(nn.Module):
    def __init__(self, one: int, other: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(one, other, 3, padding=1)
        self.norm = nn.GroupNorm(2, other)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(x)))


class UNet(nn.Module):
    """Skips, bilinear upsampling, concatenation."""

    inputs = ("float32[batch,3,16,16]",)

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = Double(3, 6), Double(6, 8), Double(8, 8)
        self.up2, self.up1 = Double(16, 6), Double(12, 6)
        self.out = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        x = self.middle(F.max_pool2d(two, 2))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        x = self.up2(torch.cat([two, x], 1))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.out(self.up1(torch.cat([one, x], 1)))


class Vae(nn.Module):
    """What is sampled is random on both sides."""

    inputs = ("float32[batch,12]",)

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mean, self.logvar = nn.Linear(12, 16), nn.Linear(16, 4), nn.Linear(16, 4)
        self.dec = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 12))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.elu(self.enc(x))
        mean, logvar = self.mean(h), self.logvar(h)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        return torch.sigmoid(self.dec(z)), mean, logvar


class VaeMean(Vae):
    """The same without sampling."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.elu(self.enc(x))
        mean, logvar = self.mean(h), self.logvar(h).clamp(-1.0, 1.0)
        return torch.sigmoid(self.dec(mean)), mean, logvar


class Generator(nn.Module):
    """The half of a GAN that generates: transposed convolutions, BatchNorm, tanh."""

    inputs = ("float32[batch,8]",)

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 64)
        self.up1 = nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.up2 = nn.ConvTranspose2d(6, 3, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x).view(-1, 4, 4, 4)
        return torch.tanh(self.up2(F.leaky_relu(self.norm(self.up1(x)), 0.2)))


class Discriminator(nn.Module):
    """The other half: LeakyReLU, InstanceNorm, dropout of whole channels."""

    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 4, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.drop = nn.Dropout2d(0.25)
        self.act = nn.PReLU(8)
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(F.leaky_relu(self.conv1(x), 0.2))
        x = self.act(self.norm(self.conv2(x)))
        return torch.sigmoid(self.head(x.mean((2, 3)))).squeeze(1)


class Lstm(nn.Module):
    inputs = SEQUENCE

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(16, 8, 2, batch_first=True, bidirectional=True, dropout=0.3)
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x, (h, c) = self.rnn(x)
        return self.fc(x[:, -1]), h


class Gru(nn.Module):
    inputs = SEQUENCE

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(16, 8, batch_first=True)
        self.score, self.fc = nn.Linear(8, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.gru(x)
        weight = torch.softmax(self.score(torch.tanh(x)), dim=1)
        return self.fc((weight * x).sum(1))


class Attention(nn.Module):
    """Attention by hand, with a mask or without."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        batch, length, width = x.shape
        q = self.query(x).view(batch, length, self.heads, -1).transpose(1, 2)
        k = self.key(context).view(batch, context.shape[1], self.heads, -1).transpose(1, 2)
        v = self.value(context).view(batch, context.shape[1], self.heads, -1).transpose(1, 2)
        score = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        if mask is not None:
            score = score.masked_fill(mask, float("-inf"))
        x = self.drop(score.softmax(dim=-1)) @ v
        return self.out(x.transpose(1, 2).reshape(batch, length, width))


class Feed(nn.Module):
    def __init__(self, width: int, act: str) -> None:
        super().__init__()
        self.up, self.down, self.drop = nn.Linear(width, 2 * width), nn.Linear(2 * width, width), nn.Dropout(0.1)
        self.act = {"gelu": nn.GELU(), "relu": nn.ReLU(), "tanh": nn.GELU("tanh")}[act]

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.down(self.act(self.up(x))))


class EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int, act: str = "gelu") -> None:
        super().__init__()
        self.attention, self.feed = Attention(width, heads), Feed(width, act)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, mask)
        return x + self.feed(self.norm2(x))


class Encoder(nn.Module):
    """PyTorch's own encoder layers."""

    inputs = SEQUENCE

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(1))


class Seq2Seq(nn.Module):
    """An encoder and a decoder with cross attention and a causal mask."""

    inputs = ("int64[batch,source]:0..40", "int64[batch,target]:0..40")

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 16, padding_idx=0)
        self.encoder = EncoderLayer(16, 2, "relu")
        self.own, self.cross = Attention(16, 2), Attention(16, 2)
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory = self.encoder(self.embed(source) * 4.0)
        y = self.embed(target) * 4.0
        length = target.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=y.device).triu(1)
        y = self.norm1(y + self.own(y, y, later))
        y = self.norm2(y + self.cross(y, memory))
        return y @ self.embed.weight.t()


class ViT(nn.Module):
    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 17, 16))
        self.blocks = nn.ModuleList(EncoderLayer(16, 2) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(16, eps=1e-6), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Window(nn.Module):
    """Attention within windows that are shifted, with a bias by relative position."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift, self.norm = shift, nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.bias = nn.Parameter(torch.randn(2, 16, 16) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        y = self.norm(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = y.view(batch, height // 4, 4, width // 4, 4, channels).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, channels)
        q, k, v = self.qkv(y).view(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        score = (q * 0.5) @ k.transpose(-2, -1) + self.bias
        y = self.proj((score.softmax(-1) @ v).transpose(1, 2).reshape(-1, 16, channels))
        y = y.view(batch, height // 4, width // 4, 4, 4, channels).permute(0, 1, 3, 2, 4, 5).reshape(x.shape)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + y


class Swin(nn.Module):
    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 2, stride=2)
        self.blocks = nn.Sequential(Window(0), Window(2))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x).permute(0, 2, 3, 1)).mean((1, 2)))


class Bert(nn.Module):
    """Tokens, positions, types; a mask of padding; a pooler."""

    inputs = (*TOKENS, "bool[batch,length]")

    def __init__(self) -> None:
        super().__init__()
        self.word, self.position = nn.Embedding(40, 16), nn.Embedding(64, 16)
        self.norm, self.drop = nn.LayerNorm(16, eps=1e-12), nn.Dropout(0.1)
        self.layers = nn.ModuleList(EncoderLayer(16, 2) for _ in range(2))
        self.pooler = nn.Linear(16, 16)

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        x = self.word(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        x = self.drop(self.norm(x))
        bias = (~mask)[:, None, None, :].to(x.dtype) * -10000.0
        for layer in self.layers:
            y = layer.norm1(x)
            q, k, v = (part(y).unflatten(-1, (2, 8)).transpose(1, 2) for part in
                       (layer.attention.query, layer.attention.key, layer.attention.value))  # fmt: skip
            score = (q @ k.transpose(-2, -1)) * 8**-0.5 + bias
            y = (score.softmax(-1) @ v).transpose(1, 2).flatten(2)
            x = x + layer.attention.out(y)
            x = x + layer.feed(layer.norm2(x))
        return {"hidden": x, "pooled": torch.tanh(self.pooler(x[:, 0]))}


class GptBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.c_attn, self.c_proj = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = Feed(16, "tanh")

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).chunk(3, -1))
        rate = 0.1 if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).flatten(2))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    inputs = TOKENS

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe, self.drop = nn.Embedding(40, 16), nn.Embedding(64, 16), nn.Dropout(0.1)
        self.h = nn.ModuleList(GptBlock() for _ in range(2))
        self.ln_f, self.lm_head = nn.LayerNorm(16), nn.Linear(16, 40, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.drop(self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device)))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class GptTrained(Gpt):
    options = TRAIN


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class T5Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(16), RmsNorm(16)
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16, bias=False) for _ in range(4))
        self.wi_0, self.wi_1 = nn.Linear(16, 24, bias=False), nn.Linear(16, 24, bias=False)
        self.wo = nn.Linear(24, 16, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k, v = (part(y).unflatten(-1, (2, 8)).transpose(1, 2) for part in (self.q, self.k, self.v))
        x = x + self.o((torch.softmax(q @ k.mT + bias, -1) @ v).transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.wo(F.gelu(self.wi_0(y), approximate="tanh") * self.wi_1(y))


class T5(nn.Module):
    """RMSNorm, buckets of relative positions, gated feed-forward."""

    inputs = TOKENS

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.relative = nn.Embedding(40, 16), nn.Embedding(8, 2)
        self.block = nn.ModuleList(T5Layer() for _ in range(2))
        self.norm = RmsNorm(16)

    def forward(self, ids: Tensor) -> Tensor:
        place = torch.arange(ids.shape[1], device=ids.device)
        bucket = (place[None, :] - place[:, None]).clamp(-4, 3) + 4
        bias = self.relative(bucket).permute(2, 0, 1)[None]
        x = self.shared(ids)
        for block in self.block:
            x = block(x, bias)
        return self.norm(x) * 16**-0.5 @ self.shared.weight.t()


class Moe(nn.Module):
    """Experts that are mixed by a router's two best."""

    inputs = ("float32[batch,8]",)

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(8, 4)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(8, 12), nn.SiLU(), nn.Linear(12, 8)) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = torch.topk(self.router(x).softmax(-1), 2, dim=-1)
        weight = weight / weight.sum(-1, keepdim=True)
        gates = torch.zeros_like(x[:, :4]).scatter(1, chosen, weight)
        return sum(gates[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


Detected = namedtuple("Detected", ["boxes", "scores", "labels"])
pytree._register_namedtuple(Detected, serialized_type_name="scripts.small_models.Detected")


class Detector(nn.Module):
    """A head with anchors: boxes in pixels beside scores; a named tuple."""

    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.box, self.score = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 3, 1)
        grid = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij"), -1).view(1, 16, 2)
        self.register_buffer("grid", grid)

    def forward(self, x: Tensor) -> Detected:
        x = F.relu(self.backbone(x))
        box = self.box(x).flatten(2).transpose(1, 2)
        score = torch.sigmoid(self.score(x).flatten(2).transpose(1, 2))
        centre = (box[..., :2].sigmoid() + self.grid) * 160.0
        size = box[..., 2:].clamp(max=4.0).exp() * 32.0
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1).clamp(0.0, 640.0)
        return Detected(boxes, score.amax(-1), score.argmax(-1))


class Recommender(nn.Module):
    """Embeddings of users and things, dense features, a product of pairs."""

    inputs = ("int64[batch]:0..20", "int64[batch]:0..30", "float32[batch,6]")

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(20, 8), nn.Embedding(30, 8)
        self.bottom = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(11, 8), nn.Tanh(), nn.Linear(8, 1))
        self.log_scale = nn.Parameter(torch.zeros(1))

    def forward(self, user: Tensor, item: Tensor, dense: Tensor) -> Tensor:
        x = torch.log1p(F.relu(dense))
        d = self.bottom(x)
        stacked = torch.stack([self.user(user), self.item(item), d], 1)
        pairs = torch.bmm(stacked, stacked.transpose(1, 2))
        crossed = torch.stack([pairs[:, 0, 1], pairs[:, 0, 2], pairs[:, 1, 2]], 1)
        return torch.sigmoid(self.top(torch.cat([d, crossed], 1)).squeeze(1) * self.log_scale.exp())


class AudioCnn(nn.Module):
    inputs = ("float32[batch,1,samples]",)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 6, 9, stride=4, padding=4)
        self.bn1 = nn.BatchNorm1d(6)
        self.conv2 = nn.Conv1d(6, 8, 5, padding=4, dilation=2)
        self.gate = nn.Conv1d(6, 8, 5, padding=4, dilation=2)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = torch.tanh(self.conv2(x)) * torch.sigmoid(self.gate(x))
        return F.softmax(self.head(F.adaptive_max_pool1d(x, 1).squeeze(-1)), dim=-1)


class NormFree(nn.Module):
    """Standardized weights, scaled activations, a gain of its own."""

    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.mix = nn.Conv2d(8, 8, 1)
        self.gain = nn.Parameter(torch.ones(8, 1, 1, 1))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.conv(x)) * 1.7
        w = self.mix.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.var((1, 2, 3), keepdim=True) + 1e-4).sqrt() * self.gain
        x = x + 0.2 * F.conv2d(x, w, self.mix.bias)
        return self.head(F.normalize(x.mean((2, 3)), dim=1))


class ConvNext(nn.Module):
    """Depthwise convolution, LayerNorm of channels, LayerScale, stochastic depth."""

    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.pw1, self.pw2 = nn.Linear(8, 16), nn.Linear(16, 8)
        self.gamma = nn.Parameter(torch.full((8,), 0.1))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm(self.dw(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pw2(F.gelu(self.pw1(y)))
        return self.head((x + y.permute(0, 3, 1, 2)).mean((-2, -1)))


class MobileNet(nn.Module):
    """Squeeze and excite, hardswish, hardsigmoid, relu6."""

    inputs = IMAGE

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.dw, self.bn1 = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False), nn.BatchNorm2d(8, momentum=0.01)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.bn0(self.stem(x)))
        y = F.relu6(self.bn1(self.dw(x)))
        scale = F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        return self.head((x + y * scale).mean((2, 3)))


class Features(nn.Module):
    """Features of large mean, which are normalized: a formula that is not stable loses digits here."""

    inputs = ("float32[batch,10]",)

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(10, 12), nn.LayerNorm(12), nn.Linear(12, 3)
        self.register_buffer("offset", torch.full((12,), 200.0))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        h = self.norm(self.fc1(x) + self.offset)
        y = self.fc2(F.softplus(h))
        return F.softmax(y, -1), [y, torch.logsumexp(y, -1)]


class FeaturesTrained(Features):
    """The same in train mode, with a counter."""

    options = TRAIN

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        if self.training:
            self.seen += 1
        return super().forward(x)


class Graph(nn.Module):
    """Messages along edges, gathered and summed up."""

    inputs = ("float32[nodes,8]",)

    def __init__(self) -> None:
        super().__init__()
        self.message, self.update, self.out = nn.Linear(16, 8), nn.Linear(16, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        other = torch.roll(x, 1, 0)
        m = F.relu(self.message(torch.cat([x, other], -1)))
        m = torch.where(m > 0.1, m, torch.zeros_like(m))
        return self.out(F.mish(self.update(torch.cat([x, m.cumsum(0)], -1))))


class TwoInputs(nn.Module):
    """One encoder called twice, the distance of its results; a dict of dicts."""

    inputs = ("float32[batch,8]", "float32[batch,8]")

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 4))
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.frozen = nn.Parameter(torch.randn(4), requires_grad=False)

    def forward(self, one: Tensor, other: Tensor) -> dict[str, Any]:
        a, b = self.tower(one) * self.frozen, self.tower(other)
        alike = F.cosine_similarity(a, b, dim=-1)
        return {"alike": alike * self.scale, "parts": {"a": a, "far": (a - b).abs().sum(-1)}}


MODELS: dict[str, type[nn.Module]] = {
    name: cls for name, cls in vars().items() if isinstance(cls, type) and "inputs" in dir(cls)
}


def capture_small(name: str, folder: Path) -> None:
    """Captures one of `MODELS` as `FOLDER/NAME.pt2`, with its recording."""
    cls = MODELS[name]
    torch.manual_seed(0)
    module = cls()
    randomise(module, 0)
    entries = [parse_input(text) for text in cls.inputs]
    made = make_inputs(entries, choose_sizes(entries, {}), 0)
    args, keywords = live_call(torch, made)
    options = {"gradients": True, **getattr(cls, "options", {})}
    capture(
        module, args, keywords, out=folder / f"{name}.pt2", dynamic=dict(made.dynamic), overwrite=True, model=name,
        second=lambda sizes: live_call(torch, make_inputs(entries, sizes, 1)), **options,
    )  # fmt: skip


def main() -> int:
    """Captures what is not there yet; 1 if a model can't be captured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in arguments.names:
        if not (arguments.folder / f"{name}.pt2").exists():
            try:
                capture_small(name, arguments.folder)
            except Exception:  # the others are captured all the same
                failed = 1
                print(f"{name} can't be captured:\n{traceback.format_exc()}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
